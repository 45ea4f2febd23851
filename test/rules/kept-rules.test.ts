import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gitalyServers } from '#client/gitaly-servers';
import { HookRejectedError, Repository } from '#client/repository/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startCluster } from '#testkit/start-cluster';
import { startGitaly } from '#testkit/start-gitaly';
import { ADMIN_NAME, RULES, userOf } from './kept-rules.ts';

const FILE = 'custom_hooks/gitaly-ts/rules.json';

test('in a cluster all nodes have the rules, and one refusal is that of all', async () => {
  await using cluster = await startCluster();
  const [alice, bob] = ['alice', 'bob'].map(
    (name) => new Repository(cluster.connection, { path: 'a.git', user: userOf(name) }),
  ) as [Repository, Repository]; // as many as names
  await alice.create();
  await alice.setDescription('Replicated');

  await alice.setRules(RULES);
  const made = await alice.commit({ branch: 'main', message: 'a', files: { a: 'a' } });
  await assert.rejects(bob.commit({ branch: 'main', message: 'b', files: { b: 'b' } }), HookRejectedError);
  await bob.commit({ branch: 'topic', start: { branch: 'main' }, message: 'b', files: { b: 'b' } });

  for (const node of [1, 2, 3]) {
    const path = cluster.repositoryPath(node, 'a.git');
    assert.equal(readFileSync(join(path, FILE), 'utf8'), RULES, `node ${node}`);
    assert.equal(gitOutput(path, ['rev-parse', 'main']), made, `node ${node}`);
  }
  assert.deepEqual([await bob.rules(), await bob.description()], [RULES, 'Replicated']);
  const committed = cluster.log.filter(({ msg }) => msg === 'transaction completed');
  assert.equal(committed.at(-1)?.['transaction.committed'], '3/3');
  await alice.setRules(undefined);
  await bob.commit({ branch: 'main', message: 'c', files: { c: 'c' } });
});

test('a replica and a restored backup have the rules', async () => {
  const config = (directory: string) => ({ backup: { go_cloud_url: join(directory, 'backups') } });
  await using gitaly = await startGitaly({ storages: ['default', 'other'], config });
  const { connection } = gitaly;
  const alice = new Repository(connection, { path: 'a.git', user: userOf(ADMIN_NAME) });
  await alice.create();
  await alice.commit({ branch: 'main', message: 'a', files: { a: 'a' } });
  await alice.setRules(RULES);

  const copy = { storageName: 'other', relativePath: 'copy.git' };
  const servers = gitalyServers({ default: { address: gitaly.address } });
  await connection.repository.replicateRepository(
    { repository: copy, source: alice.message },
    { metadata: servers },
  );
  const replica = new Repository(connection, { storage: 'other', path: 'copy.git' });
  assert.equal(await replica.rules(), RULES);
  await alice.setRules(undefined);
  await connection.repository.replicateRepository(
    { repository: copy, source: alice.message },
    { metadata: servers },
  );
  assert.equal(await replica.rules(), undefined, 'a replica has no rules that its source lacks');

  await alice.setRules(RULES);
  const backup = { vanityRepository: alice.message, backupId: 'one' };
  await connection.repository.backupRepository({ repository: alice.message, ...backup });
  await alice.remove();
  await connection.repository.restoreRepository({ repository: alice.message, ...backup });
  assert.equal(await alice.rules(), RULES);
  const bob = new Repository(connection, { path: 'a.git', user: userOf('bob') });
  await assert.rejects(bob.commit({ branch: 'main', message: 'b', files: { b: 'b' } }), HookRejectedError);
});

test('a renamed repository keeps its rules, and one that is created at the path has none', async () => {
  await using gitaly = await startGitaly();
  const { connection } = gitaly;
  const repository = new Repository(connection, { path: 'a.git', user: userOf(ADMIN_NAME) });
  await repository.create();
  await repository.setRules(RULES);
  await connection.repository.renameRepository({ repository: repository.message, relativePath: 'b.git' });

  await repository.create();
  assert.equal(await repository.rules(), undefined);
  assert.equal(await new Repository(connection, { path: 'b.git' }).rules(), RULES);
});
