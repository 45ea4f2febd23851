import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { oidBytesOf, trustedOid } from '#git/objects/object-id';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { changeTree, type TreeChange } from './change-tree.ts';
import { searchTree } from './find-in-tree.ts';

const directory = makeScratchDirectory('change-tree');
after(() => rmSync(directory, { recursive: true, force: true }));
initRepository(directory);
const OID = gitOutput(directory, ['hash-object', '-w', '--stdin'], Buffer.from('x'));
const OTHER = gitOutput(directory, ['hash-object', '-w', '--stdin'], Buffer.from('y'));

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
