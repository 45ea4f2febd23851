import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { OID_DIGITS } from '#git/names/object-id';
import { openFilesBelow } from '#testkit/measure/open-files';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { PackedLines } from './packed-lines.ts';
import { PackedRefsCache } from './packed-refs-cache.ts';
import { packedLinesSource } from './ref-files.ts';
import { RefLinesCache } from './ref-lines-cache.ts';

const directory = makeScratchDirectory('lines');
after(() => rmSync(directory, { recursive: true }));
let count = 0;

const HEADER = '# pack-refs with: peeled fully-peeled sorted \n';
const DIGITS = OID_DIGITS.sha1;
const [ONE, TWO] = ['1'.repeat(DIGITS), '2'.repeat(DIGITS)];
const NAMES = ['refs/heads/a', 'refs/heads/b', 'refs/tags/v1', 'refs/tags/v2'];
const TEXT = [
  `${HEADER}${ONE} ${NAMES[0]}`,
  `${ONE} ${NAMES[1]}`,
  `${ONE} ${NAMES[2]}`,
  `^${TWO}`,
  `${TWO} ${NAMES[3]}\n`,
].join('\n');

function makeRepository(text: string): string {
  const path = join(directory, String(count++));
  mkdirSync(path);
  if (text !== '') writeFileSync(join(path, 'packed-refs'), text, 'latin1');
  return path;
}

/** Reads lines without other caches. */
async function linesOf(text: string, peel: boolean): Promise<PackedLines> {
  return await readLines(new RefLinesCache(), makeRepository(text), peel);
}

async function readLines(cache: RefLinesCache, path: string, peel: boolean): Promise<PackedLines> {
  const options = { digits: DIGITS, peel };
  return (await cache.get(path, options, packedLinesSource(new PackedRefsCache(), path, options))).lines;
}

/** A packet as in git: Documentation/gitprotocol-common.txt. */
function packet(line: string): string {
  return (line.length + 4).toString(16).padStart(4, '0') + line;
}

for (const peel of [true, false]) {
  test(`references are packets, ${peel ? 'with' : 'without'} targets of tags`, async () => {
    const lines = await linesOf(TEXT, peel);
    const expected = [
      packet(`${ONE} refs/heads/a\n`),
      packet(`${ONE} refs/heads/b\n`),
      packet(`${ONE} refs/tags/v1${peel ? ` peeled:${TWO}` : ''}\n`),
      packet(`${TWO} refs/tags/v2\n`),
    ];

    assert.equal(lines.count, 4);
    for (let from = 0; from <= 4; from++)
      for (let to = from; to <= 4; to++)
        assert.equal(lines.slice(from, to).toString(), expected.slice(from, to).join(''));
    assert.deepEqual(
      NAMES.map((_, line) => lines.name(line).toString()),
      NAMES,
    );
    assert.deepEqual(
      NAMES.map((name) => lines.find(Buffer.from(name))),
      [
        { oid: ONE, peeledOid: undefined },
        { oid: ONE, peeledOid: undefined },
        { oid: ONE, peeledOid: peel ? TWO : undefined },
        { oid: TWO, peeledOid: undefined },
      ],
    );
    assert.equal(lines.bytes, expected.join('').length + 5 * 4);
  });
}

test('a position is that of the first name that is not below', async () => {
  const lines = await linesOf(TEXT, true);

  for (const [key, position] of [
    ['', 0],
    ['refs/heads/', 0],
    ['refs/heads/a', 0],
    ['refs/heads/a\0', 1],
    ['refs/heads/c', 2],
    ['refs/tags/v1', 2],
    ['refs/tags/v1 peeled', 3],
    ['refs/tags/v2', 3],
    ['refs/tags/v3', 4],
  ] as const)
    assert.equal(lines.position(Buffer.from(key)), position, key);
  for (const name of ['refs/heads', 'refs/heads/aa', 'refs/z', ''])
    assert.equal(lines.find(Buffer.from(name)), undefined, name);
});

test('a repository without the file, or with an empty one, has no lines', async () => {
  for (const text of ['', HEADER]) {
    const lines = await linesOf(text, true);

    assert.deepEqual([lines.count, lines.bytes, lines.position(Buffer.from('refs/'))], [0, 4, 0]);
    assert.equal(lines.find(Buffer.from('refs/heads/a')), undefined);
  }
});

for (const [what, text] of [
  ['unsorted lines', `${HEADER}${ONE} refs/b\n${ONE} refs/a\n`],
  ['a name twice', `${HEADER}${ONE} refs/a\n${ONE} refs/a\n`],
  ['no order', TEXT.replace(' sorted', '')],
  ['no targets of tags', TEXT.replace(' fully-peeled', '')],
  ['a name too long for a packet', `${HEADER}${ONE} refs/${'a'.repeat(65_520 - 4 - 41 - 5)}\n`],
] as const) {
  test(`a file with ${what} is left to git`, async () => {
    await assert.rejects(linesOf(text, true), FallBackToGit);
  });
}

test('the longest name that a packet holds is listed', async () => {
  const name = `refs/${'a'.repeat(65_520 - 4 - 41 - 5 - 1)}`;
  const lines = await linesOf(`${HEADER}${ONE} ${name}\n`, true);

  assert.equal(lines.slice(0, 1).toString('latin1', 0, 4), 'fff0');
  assert.equal(lines.find(Buffer.from(name))?.oid, ONE);
});

test('the order is checked across reads, too', async () => {
  const names = Array.from({ length: 2_000 }, (_, index) => `refs/heads/${String(index).padStart(5, '0')}`);
  const text = (all: readonly string[]): string => HEADER + all.map((name) => `${ONE} ${name}\n`).join('');
  assert.equal((await linesOf(text(names), true)).count, 2_000);

  // The first read has some 270 lines; whichever line is too low, it is found.
  for (let at = 240; at < 300; at++) {
    const wrong = names.with(at, 'refs/heads/!');
    await assert.rejects(linesOf(text(wrong), false), FallBackToGit, String(at));
  }
});

test('lines are kept until the file changes, each form for itself', async () => {
  const repository = makeRepository(TEXT);
  const cache = new RefLinesCache();
  const get = (peel = true) => readLines(cache, repository, peel);

  const [first, second] = await Promise.all([get(), get()]);
  assert.equal(first, second);
  assert.equal(await get(), first);
  assert.notEqual(await get(false), first);

  writeFileSync(join(repository, 'packed-refs'), `${HEADER}${ONE} refs/x\n`);
  const changed = await get();
  assert.equal(changed.count, 1);
  cache.forget(repository);
  assert.notEqual(await get(), changed);
  cache.forget(repository);
  const reading = get();
  cache.forget(repository);
  const forgotten = await reading;
  assert.notEqual(await get(), forgotten);
  writeFileSync(join(repository, 'packed-refs'), 'garbage\n');
  for (const _ of [1, 2]) await assert.rejects(get(), FallBackToGit);
  assert.equal(openFilesBelow(repository), 0);
});
