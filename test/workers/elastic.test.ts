import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { connections, metrics, repository, servedBy, sumOf } from './family.ts';

/** A busy machine compiles the sources slowly. */
const LIMIT_MS = 120_000;
const CALLS_AFTERWARDS = 1000;

test('a busy server starts a worker, which gets connections; no call fails', async () => {
  // The client of this test takes more time than the server.
  const settings = { tickMs: 100, busyShare: 0.15, busyMs: 300, moveMs: 200, idleMs: 600_000 };
  await using gitaly = await startGitalyProcess({
    everyListener: true,
    config: '[workers]\nmax = 2\n',
    env: { GITALY_TESTING_WORKERS: JSON.stringify(settings) },
  });
  assert.equal(sumOf(await metrics(gitaly), 'gitaly_ts_workers'), 1);
  const opened = await connections(gitaly.address, 6);
  await opened[0]?.repository.createRepository({ repository });
  let [isOver, served] = [false, 0];
  const load = opened.flatMap((connection) =>
    Array.from({ length: 16 }, async () => {
      while (!isOver) {
        await connection.repository.repositoryExists({ repository });
        served++;
      }
    }),
  );

  // The log has a line for each call: to read it now would take more time than the calls.
  const shared = async (): Promise<boolean> =>
    sumOf(await metrics(gitaly), 'gitaly_ts_worker_connections_total') > 0;
  await Promise.race([until(shared, 'a worker serves calls', LIMIT_MS), Promise.all(load)]);
  const servedBefore = served;
  await until(() => served > servedBefore + CALLS_AFTERWARDS, 'calls are served', LIMIT_MS);
  isOver = true;
  await Promise.all(load);

  const text = await metrics(gitaly);
  assert.equal(sumOf(text, 'gitaly_ts_workers'), 2);
  assert.ok(sumOf(text, 'gitaly_ts_connection_moves_total') > 0, 'a connection was moved');
  assert.deepEqual(servedBy(gitaly, 'RepositoryExists'), new Set(['0', '1']));
  const handled = ['grpc_server_handled_total', 'grpc_method="RepositoryExists"'] as const;
  assert.equal(sumOf(text, ...handled, 'grpc_code="OK"'), served);
  assert.equal(sumOf(text, ...handled), served, 'no call has failed');
  await Promise.all(opened.map((connection) => connection.close()));
});
