import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { sortEntries } from './sort-entries.ts';
import { walkTree } from './walk-tree.ts';

test('entries come by kind in the order of git, or by the bytes of their paths', async () => {
  await using fixture = await StorageFixture.create();
  const { objects, path } = fixture.init('x.git');
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const inner = gitOutput(path, ['mktree'], `100644 blob ${blob}\tf\n120000 blob ${blob}\tl\n`);
  const lines = [
    `040000 tree ${inner}\ta`,
    `100644 blob ${blob}\ta.b`,
    `160000 commit ${'1'.repeat(40)}\tm`,
    `040000 tree ${inner}\tz`,
  ];
  const tree = gitOutput(path, ['mktree'], `${lines.join('\n')}\n`);
  const root = await objects.readObject(Buffer.from(tree));
  assert.ok(root);
  const sorted = async (order: 'kind' | 'path'): Promise<string[]> => {
    // One entry in each batch.
    const single = async function* () {
      for await (const batch of walkTree(objects, root, { recursive: true }))
        for (const entry of batch) yield [entry];
    };
    const batches = await Array.fromAsync(sortEntries(single(), order));
    assert.ok(batches.every(({ length }) => length > 0));
    return batches.flat().map((entry) => entry.path.toString());
  };

  const listed = gitOutput(path, ['ls-tree', '-r', '-t', tree]).split('\n');
  const names = (type: string): string[] =>
    listed.filter((line) => line.split(' ')[1] === type).map((line) => line.split('\t')[1] ?? '');
  assert.deepEqual(await sorted('kind'), [...names('tree'), ...names('blob'), ...names('commit')]);
  assert.deepEqual(await sorted('path'), listed.map((line) => line.split('\t')[1] ?? '').sort());
});
