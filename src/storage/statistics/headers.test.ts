import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { openFilesBelow } from '#testkit/measure/open-files';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { readBitmap } from './bitmap.ts';
import { readCommitGraphInfo } from './commit-graph.ts';
import { addLooseObjects } from './loose-objects.ts';
import { readMultiPackIndexInfo } from './multi-pack-index.ts';
import { countPackfiles } from './packfiles.ts';
import { readStart } from './read-start.ts';
import { countReferences } from './references.ts';

const root = makeScratchDirectory('headers');
after(() => rmSync(root, { recursive: true }));
let count = 0;

function write(file: string, content: string | Buffer): string {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  return file;
}

function newFile(content: string | Buffer): string {
  return write(join(root, String(count++)), content);
}

/** A table of contents as in git's chunk format: names and offsets, ended by a null name. */
function table(names: readonly string[]): Buffer {
  return Buffer.concat(
    [...names, '\0\0\0\0'].map((name) => Buffer.from(`${name}${'\0'.repeat(8)}`, 'latin1')),
  );
}

// git: Documentation/technical/bitmap-format.adoc
for (const [flags, hasHashCache, hasLookupTable] of [
  [0x1, false, false],
  [0x5, true, false],
  [0x11, false, true],
  [0x15, true, true],
] as const) {
  test(`a bitmap with the flags 0x${flags.toString(16)}`, async () => {
    const file = newFile(Buffer.from(`BITM\0\x01\0${String.fromCharCode(flags)}`, 'latin1'));

    assert.deepEqual(await readBitmap(file), { version: 1, hasHashCache, hasLookupTable });
  });
}

test('what is no bitmap is an error that says why', async () => {
  for (const [content, message] of [
    ['JUNK\0\x01\0\0', 'invalid bitmap signature: "JUNK"'],
    ['BITM\0\x02\0\0', 'unsupported version: 2'],
    ['', 'reading bitmap header: EOF'],
    ['BITM', 'reading bitmap header: unexpected EOF'],
  ] as const)
    await assert.rejects(readBitmap(newFile(content)), { message });
});

test('the beginning of a file is read exactly', async () => {
  const file = newFile('0123456789');

  assert.equal((await readStart(file, 10)).toString(), '0123456789');
  assert.equal((await readStart(file, 4)).toString(), '0123');
  assert.equal(openFilesBelow(dirname(file)), 0);
  await assert.rejects(readStart(file, 11), { message: 'unexpected EOF' });
});

/** A commit-graph with some chunks. @see git: Documentation/gitformat-commit-graph.adoc */
function graph(names: readonly string[], version = 1): Buffer {
  return Buffer.concat([Buffer.from('CGPH'), Buffer.of(version, 1, names.length, 0), table(names)]);
}

for (const [chunks, features] of [
  [
    ['OIDF', 'CDAT'],
    [false, false, false],
  ],
  [['BIDX'], [false, false, false]],
  [['BDAT'], [false, false, false]],
  [
    ['BIDX', 'BDAT'],
    [true, false, false],
  ],
  [
    ['OIDF', 'GDA2'],
    [false, true, false],
  ],
  [
    ['GDA2', 'GDO2'],
    [false, true, true],
  ],
] as const) {
  test(`a commit-graph with the chunks ${chunks.join(' ')}`, async () => {
    const repository = join(root, `graph-${count++}`);
    write(`${repository}/objects/info/commit-graph`, graph(chunks));

    const [hasBloomFilters, hasGenerationData, hasGenerationDataOverflow] = features;
    assert.deepEqual(await readCommitGraphInfo(repository), {
      chainLength: 0,
      hasBloomFilters,
      hasGenerationData,
      hasGenerationDataOverflow,
    });
  });
}

test('a split commit-graph has what one of its layers has, and one may be missing', async () => {
  const repository = join(root, 'split');
  const info = `${repository}/objects/info/commit-graphs`;
  assert.equal(await readCommitGraphInfo(repository), undefined);
  const [a = '', b = '', c] = ['a', 'b', 'c'].map((digit) => digit.repeat(40));
  write(`${info}/commit-graph-chain`, `${a}\n${b}\n${c}\n`);
  write(`${info}/graph-${a}.graph`, graph(['OIDF']));
  write(`${info}/graph-${b}.graph`, graph(['GDA2']));

  assert.deepEqual(await readCommitGraphInfo(repository), {
    chainLength: 3,
    hasBloomFilters: false,
    hasGenerationData: true,
    hasGenerationDataOverflow: false,
  });
});

test('what is no commit-graph is an error that says why', async () => {
  const repository = join(root, 'bad-graph');
  const file = `${repository}/objects/info/commit-graph`;
  for (const [content, message] of [
    [graph([], 2), `commit graph file "${file}" has unsupported version number: 2`],
    ['CGPX\x01\x01\x01\0', `commit graph file "${file}" doesn't have signature`],
    [
      'CGPH\x01\x01\x01\0',
      `read commit graph file "${file}" table of contents for the chunks: unexpected EOF`,
    ],
    ['', `read commit graph file "${file}" header: EOF`],
  ] as const) {
    write(file, content);
    await assert.rejects(readCommitGraphInfo(repository), { message });
  }
});

/** @see git: Documentation/gitformat-pack.adoc */
function multiPackIndex(names: readonly string[], { version = 1, bases = 0, packs = 2 } = {}): Buffer {
  const header = Buffer.from([0x4d, 0x49, 0x44, 0x58, version, 1, names.length, bases, 0, 0, 0, packs]);
  return Buffer.concat([header, table(names).subarray(0, names.length * 12)]);
}

for (const [chunks, features] of [
  [
    ['PNAM', 'OIDF'],
    [false, false, false],
  ],
  [['LOFF'], [true, false, false]],
  [
    ['OIDF', 'BTMP'],
    [false, true, false],
  ],
  [
    ['RIDX', 'PNAM'],
    [false, false, true],
  ],
] as const) {
  test(`a multi-pack-index with the chunks ${chunks.join(' ')}`, async () => {
    const [hasLargeOffsets, hasBitmappedPacks, hasReverseIndex] = features;
    assert.deepEqual(await readMultiPackIndexInfo(newFile(multiPackIndex(chunks))), {
      version: 1,
      packfileCount: 2,
      hasLargeOffsets,
      hasBitmappedPacks,
      hasReverseIndex,
    });
  });
}

test('what is no multi-pack-index is an error that says why', async () => {
  for (const [content, message] of [
    ['JUNKJUNKJUNK', 'invalid signature: "JUNK"'],
    [multiPackIndex([], { version: 2 }), 'invalid version: 2'],
    [multiPackIndex([], { bases: 1 }), 'unsupported number of base files: 1'],
    ['MIDX', 'reading header: unexpected EOF'],
    [multiPackIndex(['PNAM']).subarray(0, 20), 'reading table of contents: unexpected EOF'],
  ] as const)
    await assert.rejects(readMultiPackIndexInfo(newFile(content)), { message });
});

test('packs are counted by their names, and an index that is damaged is named', async () => {
  const repository = join(root, 'packs');
  const directory = `${repository}/objects/pack`;
  const sizes = { 'pack-a.pack': 1, 'pack-b.pack': 20, 'pack-c.pack': 300, 'pack-d.pack': 4000 };
  for (const [name, size] of Object.entries(sizes)) write(`${directory}/${name}`, 'x'.repeat(size));
  const others = ['pack-b.keep', 'pack-c.mtimes', 'pack-d.mtimes', 'pack-d.keep', 'pack-a.rev', 'pack-b.rev'];
  for (const name of [...others, 'tmp_pack_x.pack', 'pack-e.pack.tmp', 'multi-pack-index-x.rev', 'x.rev'])
    write(`${directory}/${name}`, '');
  write(`${directory}/pack-a.bitmap`, 'BITM\0\x01\0\x04');
  write(`${directory}/pack-b.bitmap`, 'BITM\0\x01\0\x10');

  assert.deepEqual(await countPackfiles(repository), {
    count: 4,
    size: 4321n,
    cruftCount: 1,
    cruftSize: 300n,
    keepCount: 2,
    keepSize: 4020n,
    reverseIndexCount: 2,
    // The last one by name.
    bitmap: { version: 1, hasHashCache: false, hasLookupTable: true },
    multiPackIndex: undefined,
    multiPackIndexBitmap: undefined,
  });
  write(`${directory}/multi-pack-index-1.bitmap`, 'junk');
  await assert.rejects(countPackfiles(repository), /^\w*Error: reading multi-pack-index bitmap info: /);
});

test('a pool and its member are added up', () => {
  const left = { count: 1, size: 2n, staleCount: 3, staleSize: 4n, garbageCount: 5 };
  const right = { count: 10, size: 20n, staleCount: 30, staleSize: 40n, garbageCount: 50 };

  assert.deepEqual(addLooseObjects(left, right), {
    count: 11,
    size: 22n,
    staleCount: 33,
    staleSize: 44n,
    garbageCount: 55,
  });
});

test('references below directories count, and packed-refs may be missing', async () => {
  const repository = join(root, 'references');
  assert.deepEqual(await countReferences(repository), { looseCount: 0, packedSize: 0 });
  for (const name of ['refs/x', 'refs/heads/a', 'refs/heads/b/c']) write(`${repository}/${name}`, '');

  assert.deepEqual(await countReferences(repository), { looseCount: 3, packedSize: 0 });
  write(`${repository}/packed-refs`, '12345');
  assert.equal((await countReferences(repository)).packedSize, 5);
});
