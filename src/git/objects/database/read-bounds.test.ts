import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { FallBackToGit } from '#git/command/in-process';
import { assertCpuBelow } from '#testkit/measure/cpu-limit';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { ObjectDatabases } from './object-databases.ts';

const root = makeScratchDirectory('read-bounds');
const git = await GitFixture.start();
after(async () => {
  await git.close();
  rmSync(root, { recursive: true });
});

/** A read blocks the event loop for less than this. */
const MAX_CPU_MS = 5;
const BOMB_BYTES = 64 * 1024 * 1024;

function makeRepository(name: string): string {
  const path = join(root, `${name}.git`);
  initRepository(path);
  return path;
}

/** Reads an object, each time anew, and asserts that it takes little CPU time. */
async function assertShortRead(
  path: string,
  revision: string,
  expected: 'found' | 'left to git',
): Promise<void> {
  const repository = git.open(path);
  await assertCpuBelow(MAX_CPU_MS, () => {
    const databases = new ObjectDatabases();
    const find = (): unknown => databases.find(repository, Buffer.from(revision), true);
    if (expected === 'found') assert.notEqual(find(), undefined);
    else assert.throws(find, FallBackToGit);
    databases.close();
  });
}

function writeLoose(path: string, header: string, contents: Buffer): string {
  const oid = createHash('sha1').update(header).update(contents).digest('hex');
  const directory = join(path, 'objects', oid.slice(0, 2));
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, oid.slice(2)), deflateSync(Buffer.concat([Buffer.from(header), contents])));
  return oid;
}

for (const [name, size] of [
  ['its true size', BOMB_BYTES],
  ['a small size', 100],
] as const) {
  test(`a loose object that inflates to 64 MiB is left to git, with ${name} in its header`, async () => {
    const path = makeRepository(`bomb-${size}`);
    const oid = writeLoose(path, `blob ${size}\0`, Buffer.alloc(BOMB_BYTES));

    await assertShortRead(path, oid, 'left to git');
  });
}

test('an object of a pack that inflates to more than its size is left to git at once', async () => {
  const path = makeRepository('packed-bomb');
  const oid = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x'.repeat(100));
  const stem = gitOutput(path, ['pack-objects', '-q', join(path, 'objects/pack/pack')], `${oid}\n`);
  rmSync(join(path, 'objects', oid.slice(0, 2)), { recursive: true });
  const file = join(path, `objects/pack/pack-${stem}.pack`);
  rmSync(file);
  // A header of 12 bytes, the entry's header (a blob of 100 bytes), the data, a checksum that the
  // index repeats: only the data differs.
  const packOf = (data: Buffer, checksum: Buffer): Buffer =>
    Buffer.concat([
      Buffer.from('PACK\0\0\0\u0002\0\0\0\u0001\xb4\u0006', 'latin1'),
      deflateSync(data),
      checksum,
    ]);
  const index = packChecksumOf(file.replace(/pack$/, 'idx'));
  writeFileSync(file, packOf(Buffer.alloc(BOMB_BYTES), index));

  await assertShortRead(path, oid, 'left to git');

  writeFileSync(file, packOf(Buffer.alloc(100, 'x'), index));
  await assertShortRead(path, oid, 'found');
});

test('an object behind 50 deltas is read quickly, and one behind 70 is left to git', async () => {
  for (const [depth, expected] of [
    [50, 'found'],
    [70, 'left to git'],
  ] as const) {
    const path = makeRepository(`deltas-${depth}`);
    const lines = Array.from({ length: 800 }, (_, line) => `${line * 7919}\n`);
    // fast-import makes each blob a delta to the one before it.
    const blobs = Array.from({ length: depth + 20 }, (_, version) => {
      lines[version * 5] = `changed ${version * 104_729}\n`;
      const text = lines.join('');
      return `blob\ndata ${text.length}\n${text}\n`;
    });
    const options = ['-c', 'fastimport.unpackLimit=1', 'fast-import', '--quiet', `--depth=${depth}`];
    gitOutput(path, options, blobs.join(''));
    const index = readdirSync(join(path, 'objects/pack')).find((name) => name.endsWith('.idx'));
    const listed = gitOutput(path, ['verify-pack', '-v', `objects/pack/${index}`]).split('\n');
    const fields = listed.map((line) => line.split(/ +/));
    const deepest = fields.find(([oid, , , , , step]) => oid?.length === 40 && Number(step) === depth);
    assert.ok(deepest?.[0], `no object has ${depth} deltas`);

    await assertShortRead(path, deepest[0], expected);
  }
});

test('a tree of 100,000 entries is left to git at once', async () => {
  const path = makeRepository('tree');
  const entries = Array.from({ length: 100_000 }, (_, number) =>
    Buffer.concat([Buffer.from(`100644 file-${number + 100_000}\0`), Buffer.alloc(20, 'x')]),
  );
  const contents = Buffer.concat(entries);
  const tree = writeLoose(path, `tree ${contents.length}\0`, contents);

  await assertShortRead(path, tree, 'left to git');
  await assertShortRead(path, `${tree}:file-177777`, 'left to git');
});

/** Returns the checksum of its pack that an index has: the 20 bytes before its own. */
function packChecksumOf(index: string): Buffer {
  return readFileSync(index).subarray(-40, -20);
}
