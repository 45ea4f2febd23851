import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { areEqual, orderOf, TreeEntries } from './tree-entries.ts';

const NAMES = ['a', 'a-', 'a.', 'a.b', 'a0', 'ab', 'ab-', 'A', 'b', 'b\x01', '\xe9', '\xe9-', 'z'];
const END = new TreeEntries(Buffer.alloc(0), 20);

/** Returns an entry of a tree, with an id of one byte's repetition. */
function entryOf(name: string, mode: string, oid: Buffer = Buffer.alloc(20, 1)): TreeEntries {
  return new TreeEntries(Buffer.concat([Buffer.from(`${mode} ${name}\0`, 'latin1'), oid]), 20);
}

for (const isDirectory of [
  (at: number) => at % 2 === 0,
  (at: number) => at % 2 === 1,
  () => true,
  () => false,
])
  test('entries are in the order in which git sorts them', async () => {
    await using fixture = await StorageFixture.create();
    const { path: cwd } = fixture.init('x.git');
    const empty = gitOutput(cwd, ['mktree'], '');
    const lines = NAMES.map((name, at) =>
      isDirectory(at) ? `040000 tree ${empty}\t${name}\0` : `160000 commit ${'1'.repeat(40)}\t${name}\0`,
    );
    const tree = gitOutput(cwd, ['mktree', '-z'], Buffer.from(lines.join(''), 'latin1'));
    const data = outputSync('git', ['cat-file', 'tree', tree], { cwd, env: GIT_ENVIRONMENT });
    const sorted: TreeEntries[] = [];
    for (const all = new TreeEntries(data, 20); !all.isAtEnd; all.next())
      sorted.push(entryOf(all.cursor.name().toString('latin1'), all.mode.toString(8)));
    assert.equal(sorted.length, NAMES.length);

    for (const [at, one] of sorted.entries())
      for (const [otherAt, other] of sorted.entries())
        assert.equal(Math.sign(orderOf(one, other)), Math.sign(at - otherAt));
  });

test('a directory and a file of a name are apart, and all entries come before the end', () => {
  const [directory, file] = [entryOf('a', '40000'), entryOf('a', '100644')];

  assert.ok(orderOf(file, directory) < 0 && orderOf(directory, file) > 0);
  assert.equal(orderOf(END, END), 0);
  assert.ok(orderOf(file, END) < 0 && orderOf(END, file) > 0);
});

test('entries are equal if mode and id are, whatever their names', () => {
  const oid = Buffer.from(Array.from({ length: 20 }, (_, index) => index));
  const one = entryOf('a', '100644', oid);

  assert.ok(areEqual(one, entryOf('long', '100644', oid)));
  // Old versions of git wrote this mode; git prints it as the other one.
  assert.ok(areEqual(one, entryOf('a', '100664', oid)));
  assert.ok(!areEqual(one, entryOf('a', '100755', oid)));
  for (let at = 0; at < oid.length; at++) {
    const other = Buffer.from(oid);
    other[at] = 0xff;
    assert.ok(!areEqual(one, entryOf('a', '100644', other)), String(at));
  }
});

test('a malformed tree is left to git', () => {
  assert.throws(() => new TreeEntries(Buffer.from('100644 a'), 20), { name: 'FallBackToGit' });
});
