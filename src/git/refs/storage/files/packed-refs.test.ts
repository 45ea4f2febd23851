import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { OID_DIGITS, type OidDigits } from '#git/names/object-id';
import { openFilesBelow } from '#testkit/measure/open-files';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  findPackedPosition,
  findPackedRef,
  firstPackedRef,
  isFullyPeeled,
  type PackedRefsSource,
  requireFullyPeeled,
  requireSorted,
} from './packed-refs.ts';
import { PackedRefsCache, type PackedRefsFile } from './packed-refs-cache.ts';
import { packedRecords, scanPackedRefs } from './scan-packed-refs.ts';

const directory = makeScratchDirectory('packed');
after(() => rmSync(directory, { recursive: true }));

const HEADER = '# pack-refs with: peeled fully-peeled sorted \n';
const DIGITS = OID_DIGITS.sha1;
const OTHER = 'f'.repeat(DIGITS);

function source(text: string): PackedRefsSource {
  const data = Buffer.from(text, 'latin1');
  return { size: data.length, bytes: (start, length) => data.subarray(start, start + length) };
}

function oidOf(index: number): string {
  return (index + 1).toString(16).padStart(DIGITS, '0');
}

/** A file of names, every third of them with the target of its tag. */
function fileOf(names: readonly string[]): string {
  const lines = names.map(
    (name, index) => `${oidOf(index)} ${name}\n${index % 3 === 0 ? `^${OTHER}\n` : ''}`,
  );
  return HEADER + lines.join('');
}

/** Opens a packed-refs file on disk. */
function open(text: string): PackedRefsFile {
  const file = new PackedRefsCache().open(makeRepository(text));
  assert.ok(file !== undefined);
  return file;
}

let count = 0;

function makeRepository(text: string): string {
  const path = join(directory, String(count++));
  mkdirSync(path);
  writeFileSync(join(path, 'packed-refs'), text, 'latin1');
  return path;
}

const LONG = `refs/heads/${'long/'.repeat(300)}name`;
const NAMES = [
  'refs/heads/a',
  'refs/heads/a-b',
  'refs/heads/b',
  LONG,
  'refs/heads/z\xff',
  'refs/tags/v1',
  'refs/x',
];

for (let length = 0; length <= NAMES.length; length++) {
  test(`each of ${length} names is found, and none between them`, () => {
    const names = NAMES.slice(0, length);
    const text = fileOf(names);
    const packed = source(text);

    for (const [index, name] of names.entries()) {
      const key = Buffer.from(name, 'latin1');
      assert.equal(findPackedRef(packed, key), oidOf(index), name);
      assert.equal(findPackedPosition(packed, key), text.indexOf(`${oidOf(index)} `), name);
      for (const other of [Buffer.concat([key, Buffer.from('0')]), key.subarray(0, -1)])
        if (!names.includes(other.toString('latin1')))
          assert.equal(findPackedRef(packed, other), undefined, other.toString());
    }
    const behind = Buffer.from('refs/z');
    assert.equal(findPackedPosition(packed, behind), text.length);
    assert.equal(firstPackedRef(packed, behind), undefined);
    const first = names[0];
    assert.equal(firstPackedRef(packed, Buffer.from('refs/heads/'))?.name.toString('latin1'), first);
    if (length === NAMES.length)
      assert.equal(firstPackedRef(packed, Buffer.from('refs/t'))?.name.toString(), 'refs/tags/v1');
    assert.equal(firstPackedRef(packed, Buffer.from('refs/heads/aa')), undefined);
  });
}

test('a line that is no reference stops a search for a position', () => {
  for (const line of ['garbage', `${OTHER} HEAD`, `${OTHER.slice(1)} refs/heads/b`, `${OTHER}`])
    assert.throws(
      () => findPackedPosition(source(`${HEADER}${line}\n`), Buffer.from('refs/')),
      FallBackToGit,
    );
});

test('the first line says what the file is', () => {
  const [sorted, peeled] = [source(HEADER), source('# pack-refs with: peeled fully-peeled\n')];

  requireSorted(source(''));
  requireSorted(sorted);
  requireFullyPeeled(peeled);
  assert.deepEqual(
    [isFullyPeeled(sorted), isFullyPeeled(source('# pack-refs with: peeled sorted'))],
    [true, false],
  );
  for (const text of [
    '# pack-refs with: peeled unsorted \n',
    '# pack-refs: sorted \n',
    'x# pack-refs with: sorted \n',
    '# pack-refs with: peeled \n sorted \n',
  ])
    assert.throws(() => requireSorted(source(text)), FallBackToGit, text);
  assert.throws(() => requireFullyPeeled(source('')), FallBackToGit);
});

test('a file that was cut within its last line is left to git', () => {
  const whole = fileOf(['refs/heads/a', 'refs/heads/b']);

  requireSorted(source(whole));
  for (let length = whole.lastIndexOf('\n', whole.length - 2) + 2; length < whole.length; length++)
    assert.throws(() => requireSorted(source(whole.slice(0, length))), FallBackToGit, `${length} bytes`);
});

async function scan(file: PackedRefsFile, prefix: string, digits: OidDigits = DIGITS): Promise<string[]> {
  using opened = file;
  const batches = await Array.fromAsync(scanPackedRefs(opened, { prefix: Buffer.from(prefix), digits }));
  return batches.flat().map(({ name, oid, peeledOid, isPeelKnown }) => {
    assert.ok(isPeelKnown);
    return `${oid} ${name.toString('latin1')} ${peeledOid ?? '-'}`;
  });
}

function expected(names: readonly string[], prefix: string): string[] {
  return names
    .map((name, index) => `${oidOf(index)} ${name} ${index % 3 === 0 ? OTHER : '-'}`)
    .filter((line) => line.slice(DIGITS + 1).startsWith(prefix));
}

test('the references with a prefix are read with their tags, from the first to the last', async () => {
  for (const prefix of [
    'refs/',
    'refs/heads/',
    'refs/heads/a',
    'refs/tags/',
    'refs/heads/b',
    'refs/n',
    'refs/y',
  ])
    assert.deepEqual(await scan(open(fileOf(NAMES)), prefix), expected(NAMES, prefix), prefix);
  assert.deepEqual(await scan(open(''), 'refs/'), []);
});

// 16 KiB are read first, so every position of a line at that border occurs.
for (let shift = 0; shift < 120; shift += 7) {
  test(`a line may lie across the end of a read: ${shift}`, async () => {
    const names = Array.from({ length: 700 }, (_, index) => `refs/heads/${String(index).padStart(4, '0')}`);
    names[0] = `refs/heads/0000${'x'.repeat(shift)}`;

    assert.deepEqual(await scan(open(fileOf(names)), 'refs/'), expected(names, 'refs/'));
  });
}

test('a name longer than the first read is read, one longer than the next is left to git', async () => {
  const long = [`refs/heads/${'a'.repeat(20_000)}`, 'refs/heads/b'];
  assert.deepEqual(await scan(open(fileOf(long)), 'refs/'), expected(long, 'refs/'));

  const endless = [`refs/heads/${'a'.repeat(300_000)}`, 'refs/heads/b'];
  await assert.rejects(scan(open(fileOf(endless)), 'refs/'), FallBackToGit);
});

test('a file that became shorter is left to git', async () => {
  const whole = source(fileOf(NAMES));
  // The other members of a file are not used.
  const file = { source: whole, read: async () => Buffer.alloc(0) } as unknown as PackedRefsFile;

  await assert.rejects(Array.fromAsync(packedRecords(file, { from: Buffer.from('refs/'), digits: DIGITS })), {
    name: 'FallBackToGit',
    message: 'packed-refs became shorter',
  });
});

for (const line of [
  `${'0'.repeat(40)} refs/heads/a`,
  `${'1'.repeat(39)}g refs/heads/a`,
  `${'1'.repeat(39)} refs/heads/a`,
  `${'1'.repeat(41)} refs/heads/a`,
  `${'A'.repeat(40)} refs/heads/a`,
  `${OTHER}\trefs/heads/a`,
  `${OTHER} refs/`,
  `${OTHER} refs/heads/`,
  `${OTHER} refs//a`,
  `${OTHER} refs/.a`,
  `${OTHER} refs/heads/.a`,
  `${OTHER} refs/a..b`,
  `${OTHER} refs/a.`,
  `${OTHER} refs/a@{b`,
  `${OTHER} refs/a.lock`,
  `${OTHER} refs/a.lock/b`,
  `${OTHER} refs/a b`,
  `${OTHER} refs/a\x7f`,
  ...[...':?*[\\~^\x01\t'].map((byte) => `${OTHER} refs/a${byte}b`),
  `${OTHER} refs/a\n^${'0'.repeat(40)}`,
  `${OTHER} refs/a\n^${OTHER}1`,
  `${OTHER} refs/a\n^${OTHER.slice(1)}`,
  `${OTHER} refs/a\n^${OTHER}\n^${OTHER}`,
]) {
  test(`what git would not write is left to git: ${JSON.stringify(line)}`, async () => {
    await assert.rejects(scan(open(`${HEADER}${line}\n`), 'refs/'), FallBackToGit);
  });
}

test('names that look like what git refuses are fine', async () => {
  const names = [
    'refs/a.b',
    'refs/a.lockb',
    'refs/a/b.lo',
    'refs/a@b',
    'refs/a{b',
    'refs/k',
    'refs/\xe9',
  ].sort();

  assert.deepEqual(await scan(open(fileOf(names)), 'refs/'), expected(names, 'refs/'));
});

test('the last line needs its end', async () => {
  await assert.rejects(scan(open(`${HEADER}${OTHER} refs/heads/a`), 'refs/'), FallBackToGit);
  await assert.rejects(scan(open(`${HEADER}${OTHER} refs/heads/a\n^${OTHER}`), 'refs/'), FallBackToGit);
});

test('ids of SHA-256 are longer', async () => {
  const id = 'ab'.repeat(32);

  assert.deepEqual(await scan(open(`${HEADER}${id} refs/a\n^${id}\n`), 'refs/', OID_DIGITS.sha256), [
    `${id} refs/a ${id}`,
  ]);
  await assert.rejects(scan(open(`${HEADER}${OTHER} refs/a\n`), 'refs/', OID_DIGITS.sha256), FallBackToGit);
});

for (const size of [10_000, 2_000_000]) {
  test(`a file of ${size} bytes is read as it was when it was opened, and closed`, async () => {
    const text = HEADER.padEnd(size, '0123456789');
    const path = makeRepository(text);
    const cache = new PackedRefsCache();

    for (const _ of ['new', 'known']) {
      assert.equal(
        cache.read(path, (bytes) => bytes.size),
        size,
      );
      using file = cache.open(path);
      assert.ok(file !== undefined);
      assert.equal(file.stamp, cache.stamp(path));
      for (const [start, length] of [
        [0, 5],
        [4_090, 5_000],
        [size - 10, 10],
        [size - 3_000, 10],
        [size - 10, 50],
        [size, 1],
        [size + 5, 1],
      ] as const) {
        const wanted = text.slice(start, start + length);
        assert.equal((await file.read(start, length)).toString(), wanted, `read ${start}`);
        if (start < size)
          assert.ok(file.source.bytes(start, length).toString().startsWith(wanted), `bytes ${start}`);
      }
    }

    assert.equal(openFilesBelow(path), 0);
  });
}

test('a changed file is read again, a forgotten one too, and none is undefined', () => {
  const path = makeRepository('one');
  const cache = new PackedRefsCache();
  const read = (): string | undefined => cache.read(path, (bytes) => bytes.bytes(0, 10).toString());
  const stamp = cache.stamp(path);
  assert.equal(read(), 'one');

  rmSync(join(path, 'packed-refs'));
  assert.deepEqual([read(), cache.open(path), cache.stamp(path)], [undefined, undefined, undefined]);
  writeFileSync(join(path, 'packed-refs'), 'two');
  assert.notEqual(cache.stamp(path), stamp);
  assert.equal(read(), 'two');
  cache.forget(path);
  assert.equal(read(), 'two');
});

test('a file of which a read finds no line is left to git', async () => {
  const whole = source(fileOf(Array.from({ length: 10_000 }, (_, index) => `refs/heads/${10_000 + index}`)));
  for (const text of ['^', 'x', '\n']) {
    const read = async (_: number, length: number): Promise<Buffer> =>
      Buffer.alloc(length, `${text}${'x'.repeat(1 << 19)}`);
    // The other members of a file are not used.
    const file = { source: whole, read } as unknown as PackedRefsFile;

    await assert.rejects(
      Array.fromAsync(packedRecords(file, { from: Buffer.from('refs/'), digits: DIGITS })),
      { name: 'FallBackToGit', message: 'a line of packed-refs is too long' },
    );
  }
});
