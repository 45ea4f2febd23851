import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { startArchived } from './archived-server.ts';
import { stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('arj');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const repository = { storageName: 'default', relativePath: 'a.git', glRepository: 'p' };
const MAIN = Buffer.from('main');

// The pack of a branch and that of its merge have the same objects. git before 2.50 refuses a pack
// with both if one is the base of a delta that names it.
test('a branch that was merged is restored from the pack of a checkpoint', async () => {
  await using archived = await startArchived({ directory });
  const { archive, connection, storage } = archived;
  await connection.repository.createRepository({ repository });
  const commit = { repository, user: USER, branchName: MAIN, commitMessage: Buffer.from('first') };
  await commitFiles(connection, commit, [{ type: 'create', path: 'other', content: 'other' }]);
  await archive.settle('default');
  const git = (args: string[], input = ''): string => gitOutput(join(storage, 'a.git'), args, input);
  const commitOf = (content: string, parent: string): string => {
    const tree = git(['mktree'], `100644 blob ${git(['hash-object', '-w', '--stdin'], content)}\tfile\n`);
    return git(['commit-tree', '-m', 'message', '-p', parent, tree]);
  };
  const text = Array.from({ length: 200 }, (_, at) => `line ${at * 7919}\n`).join('');
  const tip = commitOf(`${text}the end\n`, commitOf(text, git(['rev-parse', 'main'])));
  await connection.repository.writeRef({
    repository,
    ref: Buffer.from('refs/heads/branch'),
    revision: Buffer.from(tip),
  });
  await archive.settle('default');
  const merge = { repository, user: USER, branch: MAIN, commitId: tip, message: Buffer.from('merge') };
  for await (const _ of connection.operation.userMergeBranch([merge, { apply: true }], { signal }));
  await archive.settle('default');
  await archive.prune('default'); // writes the checkpoint

  const names = readdirSync(join(directory, 'bucket'), { recursive: true, encoding: 'utf8' });
  assert.equal(names.filter((name) => /\/p\/.*\.pack$/.test(name)).length, 1);
  await archive.restore({ storage: 'default', path: 'a.git' }, { to: 'b.git', signal });
  assert.deepEqual(stateOf(join(storage, 'b.git')), stateOf(join(storage, 'a.git')));
});
