import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { resolveTree } from './resolve-tree.ts';

test('names lead to the trees that git finds, and other objects are told apart', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const run = (...args: string[]): string => gitOutput(repository.path, args);
  const missing = '1'.repeat(40);
  const blob = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const below = gitOutput(repository.path, ['mktree'], `100644 blob ${blob}\tfile\n`);
  const lines = `040000 tree ${below}\td\n100644 blob ${blob}\tfile\n160000 commit ${missing}\tsub\n`;
  const tree = gitOutput(repository.path, ['mktree'], lines);
  run('update-ref', 'refs/heads/main', run('commit-tree', '-m', 'm', tree));
  const commit = run('rev-parse', 'main');
  const resolve = async (name: string, peel: boolean): Promise<string> => {
    const found = await resolveTree(repository, Buffer.from(name), { peel });
    if (found.kind === 'unknown') return 'unknown';
    if (found.kind === 'absent') return `absent ${found.oid}`;
    return found.kind === 'tree' ? `tree ${found.tree.oid}` : `other ${found.object.oid}`;
  };

  for (const [name, kind, peeled = kind] of [
    ['main', 'other', 'tree'],
    ['main^{tree}', 'tree'],
    ['main:d', 'tree'],
    [tree.slice(0, 12), 'tree'],
    ['main:file', 'other', 'absent'],
    ['main:sub', 'absent'],
    ['^main', 'absent'],
    [missing, 'absent'],
    ['main:nope', 'unknown'],
    ['nope', 'unknown'],
    ['main:../x', 'unknown'], // ends the process that reads objects
  ] as const) {
    const oid = kind === 'unknown' ? '' : ` ${run('rev-parse', '--verify', name)}`;
    assert.equal(await resolve(name, false), `${kind}${oid}`, name);
    const peeledOid = name === 'main' ? ` ${tree}` : oid;
    assert.equal(await resolve(name, true), `${peeled}${peeledOid}`, name);
  }
  assert.equal(await resolve(`${commit}^{tree}`, false), `tree ${tree}`);
});
