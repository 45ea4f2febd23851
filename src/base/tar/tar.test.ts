import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTar, TarFormatError } from './read-tar.ts';
import { END_OF_ARCHIVE, paddingOf } from './tar-format.ts';
import { tarHeader } from './tar-header.ts';

interface Plain {
  readonly name: string;
  readonly type: 'file' | 'directory';
  readonly content: Buffer;
}

function archive(entries: readonly Plain[]): Buffer {
  const parts = entries.flatMap(({ name, type, content }) => [
    tarHeader({ name: Buffer.from(name), type, mode: 0o644, size: content.length, mtime: 1_600_000_000 }),
    content,
    Buffer.alloc(paddingOf(content.length)),
  ]);
  return Buffer.concat([...parts, END_OF_ARCHIVE]);
}

async function* pieces(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function read(bytes: Buffer, pieceBytes = 1000): Promise<Plain[]> {
  const found: Plain[] = [];
  for await (const { name, type, content } of readTar(pieces(bytes, pieceBytes))) {
    assert.ok(type === 'file' || type === 'directory', type);
    found.push({ name: name.toString(), type, content: Buffer.concat(await Array.fromAsync(content)) });
  }
  return found;
}

const ENTRIES: readonly Plain[] = [
  { name: 'HEAD', type: 'file', content: Buffer.from('ref: refs/heads/main\n') },
  { name: 'empty', type: 'file', content: Buffer.alloc(0) },
  { name: 'refs/', type: 'directory', content: Buffer.alloc(0) },
  { name: `refs/heads/${'x'.repeat(95)}/\u00fc`, type: 'file', content: Buffer.alloc(512, 'a') },
  { name: `${'long/'.repeat(100)}name`, type: 'file', content: Buffer.alloc(100_000, 'b') },
];

for (const pieceBytes of [1, 511, 512, 1000, 1_000_000]) {
  test(`entries are read as they were written, in pieces of ${pieceBytes} bytes`, async () => {
    assert.deepEqual(await read(archive(ENTRIES), pieceBytes), ENTRIES);
  });
}

test('content that is not read is skipped', async () => {
  const names: string[] = [];
  for await (const { name } of readTar(pieces(archive(ENTRIES), 700))) names.push(name.toString());

  assert.deepEqual(
    names,
    ENTRIES.map(({ name }) => name),
  );
});

test('a size that needs more than eleven digits is written in a pax header', async () => {
  const size = 2 ** 33;
  const header = tarHeader({ name: Buffer.from('large'), type: 'file', mode: 0o644, size, mtime: 0 });

  const { value } = await readTar(pieces(header, 512)).next();

  assert.equal(value?.size, size);
});

test('a truncated archive is an error wherever it ends', async () => {
  const whole = archive(ENTRIES.slice(3));
  for (let length = 1; length < whole.length - END_OF_ARCHIVE.length; length += 333) {
    if (length % 512 === 0) continue;
    await assert.rejects(read(whole.subarray(0, length)), TarFormatError, `${length} bytes`);
  }
});

test('junk is an error', async () => {
  await assert.rejects(read(Buffer.alloc(1024, 'x')), TarFormatError);
});

test('a header with a length beyond all measure is an error', async () => {
  const header = tarHeader({ name: Buffer.from('x'), type: 'file', mode: 0, size: 2 ** 32, mtime: 0 });
  header.write('x', 156);
  let sum = 0;
  for (const [index, byte] of header.entries()) sum += index >= 148 && index < 156 ? 0x20 : byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);

  await assert.rejects(read(header), /header too long/);
});
