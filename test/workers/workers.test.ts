import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Repository } from '#client/repository/index';
import { initRepository } from '#testkit/repositories/init-repository';
import { until } from '#testkit/until';
import {
  connections,
  isRunning,
  metrics,
  ready,
  readyWorkers,
  repository,
  servedBy,
  startFamily,
  sumOf,
} from './family.ts';

const POOL_PATH = '@pools/4e/07/4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce.git';

test('connections by every listener reach every process, and have the same data', async () => {
  await using gitaly = await startFamily('', { choice: 'random', moves: 'random' });
  const first = await gitaly.connect();
  await first.repository.createRepository({ repository });

  for (const address of [gitaly.address, `tcp://${gitaly.tcp}`]) {
    const opened = await connections(address, 12);
    for (const connection of opened) {
      const { exists } = await connection.repository.repositoryExists({ repository });
      assert.equal(exists, true);
    }
    await Promise.all(opened.map((connection) => connection.close()));
  }

  // By chance a process may have got none.
  await until(async () => {
    const connection = await gitaly.connect();
    await connection.repository.repositoryExists({ repository });
    await connection.close();
    return servedBy(gitaly, 'RepositoryExists').size === 3;
  }, gitaly.log);
});

// Symptom: of several connections at once, nearly all stayed in the first process.
test('connections that come at once are shared by all processes', async () => {
  await using gitaly = await startFamily('', { tickMs: 600_000 }); // no report comes between

  const opened = await connections(gitaly.address, 12);
  await Promise.all(opened.map((each) => each.repository.repositoryExists({ repository })));

  assert.equal(sumOf(await metrics(gitaly), 'gitaly_ts_worker_connections_total'), 8);
  await until(() => servedBy(gitaly, 'RepositoryExists').size === 3, gitaly.log);
  await Promise.all(opened.map((connection) => connection.close()));
});

test('the calls of a connection that is ended again and again continue in other processes', async () => {
  await using gitaly = await startFamily('', { choice: 'worker', moves: 'random', tickMs: 50 });
  const connection = await gitaly.connect();
  await connection.repository.createRepository({ repository });

  await until(async () => {
    const calls = Array.from({ length: 10 }, () => connection.repository.repositoryExists({ repository }));
    for (const { exists } of await Promise.all(calls)) assert.equal(exists, true);
    return servedBy(gitaly, 'RepositoryExists').size > 1;
  }, gitaly.log);

  assert.ok(sumOf(await metrics(gitaly), 'gitaly_ts_connection_moves_total') > 0);
});

// Symptom: workers refused to remove a repository, and to link one to a pool.
test('a worker creates, links and removes repositories', async () => {
  await using gitaly = await startFamily('', { choice: 'worker' });
  const { objectPool: pools, repository: repositories } = await gitaly.connect();
  const objectPool = { repository: { storageName: 'default', relativePath: POOL_PATH } };

  await repositories.createRepository({ repository });
  await pools.createObjectPool({ objectPool, origin: repository });
  await pools.linkRepositoryToObjectPool({ repository, objectPool });
  await pools.deleteObjectPool({ objectPool });
  await repositories.renameRepository({ repository, relativePath: 'b.git' });
  await repositories.removeRepository({ repository: { ...repository, relativePath: 'b.git' } });

  await until(() => servedBy(gitaly, 'RemoveRepository').size === 1, gitaly.log);
  assert.equal(servedBy(gitaly, 'RemoveRepository').has('0'), false);
  assert.equal(sumOf(await metrics(gitaly), 'gitaly_total_repositories_count'), 0);
});

test('first forks of a repository in several processes share one pool', async () => {
  await using gitaly = await startFamily('', { tickMs: 600_000 }); // each gets two connections
  initRepository(join(gitaly.directory, 'default', repository.relativePath), { commits: 2 });
  const opened = await connections(gitaly.address, 6);

  await Promise.all(
    opened.map((connection, index) =>
      new Repository(connection, { path: repository.relativePath }).fork(`fork-${index}.git`),
    ),
  );

  const alternates = opened.map((_, index) =>
    readFileSync(join(gitaly.directory, `default/fork-${index}.git/objects/info/alternates`), 'utf8'),
  );
  assert.equal(new Set(alternates).size, 1);
  await until(() => servedBy(gitaly, 'CreateFork').size === 3, gitaly.log);
  await Promise.all(opened.map((connection) => connection.close()));
});

test('SIGTERM ends all processes and leaves nothing behind', async () => {
  await using gitaly = await startFamily();
  const workers = readyWorkers(gitaly);

  gitaly.kill('SIGTERM');

  assert.equal(await gitaly.exited, 0, gitaly.log());
  assert.deepEqual(workers.map(isRunning), [false, false]);
  assert.deepEqual(readdirSync(join(gitaly.directory, 'run')), []);
  assert.equal(existsSync(join(gitaly.directory, 'gitaly.socket')), false);
  const lines = gitaly.log().trimEnd().split('\n');
  assert.deepEqual(
    lines.filter((line) => !/ worker=[0-2]\b/.test(line)),
    [],
  );
});

test('a killed worker is replaced and its directory removed', async () => {
  await using gitaly = await startFamily('', { backOffMs: 50 });
  const [first = 0] = readyWorkers(gitaly);

  process.kill(first, 'SIGKILL');
  await ready(gitaly, 3);

  assert.match(gitaly.log(), /msg="a worker process has failed".*reason=SIGKILL/);
  assert.equal(existsSync(join(gitaly.directory, `run/gitaly-${first}`)), false);
});

test('workers end within a second after their supervisor was killed', async () => {
  await using gitaly = await startFamily();
  const workers = readyWorkers(gitaly);

  gitaly.kill('SIGKILL');

  await until(() => !workers.some(isRunning), 'workers run', 2000);
  assert.deepEqual(readdirSync(join(gitaly.directory, 'run')), []);
});
