import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { testSeed } from '#testkit/test-seed';
import { oidBytesOf, trustedOid } from '../names/object-id.ts';
import { searchTree } from '../objects/parse/find-in-tree.ts';
import { formatTree } from '../objects/write/format-tree.ts';
import { changeTree, type TreeChange } from './change-tree.ts';

const directory = makeScratchDirectory('change-tree');
after(() => rmSync(directory, { recursive: true, force: true }));
initRepository(directory);
const OID = gitOutput(directory, ['hash-object', '-w', '--stdin'], Buffer.from('x'));
const OTHER = gitOutput(directory, ['hash-object', '-w', '--stdin'], Buffer.from('y'));

const SEED = testSeed();
const NAMES = ['a', 'a-', 'a-b', 'a.', 'a.c', 'a0', 'a0b', 'aa', 'b'];

/** Entries between two looks at the clock: the slices end in trees of many times as many. */
const MANY = 60_000;
const entry = (mode: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(OID, 'hex')]);
const name = (index: number): string => `file-${String(index).padStart(6, '0')}`;
const CHANGES: readonly TreeChange[] = [
  { name: Buffer.from(name(0)), oldMode: 0o100644, entry: undefined },
  { name: Buffer.from(`${name(7)}x`), oldMode: undefined, entry: { mode: 0o100755, oid: OTHER } },
  { name: Buffer.from(name(MANY - 1)), oldMode: 0o100644, entry: { mode: 0o100644, oid: OTHER } },
  { name: Buffer.from('z'), oldMode: undefined, entry: { mode: 0o120000, oid: OTHER } },
];

/** The tree that git makes of the same entries. */
function expected(): string {
  const lines = [`120000 blob ${OTHER}\tz`, `100755 blob ${OTHER}\t${name(7)}x`];
  for (let index = 1; index < MANY; index++)
    lines.push(`100644 blob ${index === MANY - 1 ? OTHER : OID}\t${name(index)}`);
  return gitOutput(directory, ['mktree'], Buffer.from(`${lines.join('\n')}\n`));
}

const numbers = Array.from({ length: MANY }, (_, index) => index);
const TREES = {
  'a tree of git': numbers.map((index) => entry('100644', name(index))),
  'a tree with old modes': numbers.map((index) => entry(index % 2 === 0 ? '100664' : '0100644', name(index))),
  'a tree that is not sorted': numbers.toReversed().map((index) => entry('100644', name(index))),
};

for (const [kind, entries] of Object.entries(TREES))
  test(`${kind} with many entries is changed as git would write it`, async () => {
    const changed = await changeTree({ data: Buffer.concat(entries), oidBytes: oidBytesOf(OID) }, CHANGES);

    assert.equal(gitOutput(directory, ['hash-object', '-t', 'tree', '--stdin'], changed), expected());
  });

const idOf = (data: Buffer): string =>
  createHash('sha1').update(`tree ${data.length}\0`).update(data).digest('hex');

type RandomTree = ReadonlyMap<string, { readonly mode: number; readonly oid: string }>;

const linesOf = (tree: RandomTree): string =>
  [...tree]
    .map(([path, { mode, oid }]) => {
      const type = mode === 0o040000 ? 'tree' : 'blob';
      return `${mode.toString(8).padStart(6, '0')} ${type} ${oid}\t${path}\n`;
    })
    .join('');

// git sorts the names of directories with a slash at their end: `-` and `.` come before it.
test(`random changes give the trees that git makes (SEED=${SEED})`, async () => {
  const random = seededRandom(SEED);
  const below = (limit: number): number => Math.floor(random() * limit);
  const blobs = [OID, OTHER].map((oid) => [0o100644, 0o100755, 0o120000].map((mode) => ({ mode, oid })));
  const directories = [{ mode: 0o040000, oid: gitOutput(directory, ['mktree'], '') }];
  const kinds = [...blobs.flat(), ...directories, ...directories, ...directories];
  const randomEntry = () => kinds[below(kinds.length)] ?? { mode: 0o100644, oid: OID };
  const randomName = (): string => NAMES[below(NAMES.length)] ?? 'a';
  const cases = Array.from({ length: 150 }, () => {
    const before: RandomTree = new Map(Array.from({ length: below(7) }, () => [randomName(), randomEntry()]));
    const later = new Map(before);
    const changes = new Map<string, TreeChange>();
    for (const changed of new Set([randomName(), randomName(), randomName()])) {
      const oldMode = before.get(changed)?.mode;
      const added = oldMode !== undefined && below(3) === 0 ? undefined : randomEntry();
      if (added === undefined) later.delete(changed);
      else later.set(changed, added);
      changes.set(changed, { name: Buffer.from(changed), oldMode, entry: added });
    }
    return { before, later, changes: [...changes.values()] };
  });
  const input = cases.map(({ before, later }) => `${linesOf(before)}\n${linesOf(later)}\n`).join('');
  const ids = gitOutput(directory, ['mktree', '--batch'], input).split('\n');

  for (const [index, { before, changes }] of cases.entries()) {
    const data = formatTree([...before].map(([each, made]) => ({ name: Buffer.from(each), ...made })));
    const changed = await changeTree({ data, oidBytes: oidBytesOf(OID) }, changes);

    const what = `${linesOf(before)}${JSON.stringify(changes)}`;
    assert.deepEqual([data, changed].map(idOf), ids.slice(2 * index, 2 * index + 2), what);
  }
});

test('a large tree is searched for its first and last entries, and for none', async () => {
  const data = Buffer.concat(TREES['a tree of git']);
  const tree = { oid: trustedOid(OID), type: 'tree', size: data.length, data } as const;

  for (const index of [0, 300, MANY - 1])
    assert.equal((await searchTree(tree, Buffer.from(name(index))))?.oid, OID);
  assert.equal(await searchTree(tree, Buffer.from(name(MANY))), undefined);
});

test('an aborted change ends', async () => {
  const data = Buffer.concat(TREES['a tree that is not sorted']);
  const signal = AbortSignal.abort(new Error('no longer wanted'));

  await assert.rejects(changeTree({ data, oidBytes: 20, signal }, CHANGES), /no longer wanted/);
});
