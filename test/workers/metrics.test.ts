import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { ServerStatus } from '#calls/top/status';
import { until } from '#testkit/until';
import {
  connections,
  isRunning,
  metrics,
  readyWorkers,
  repository,
  servedBy,
  startFamily,
  sumOf,
} from './family.ts';

const CALLS = 60;
const HANDLED = 'grpc_server_handled_total';
const METHOD = 'grpc_method="RepositoryExists"';

test('the metrics of all processes are one, and never go back', async () => {
  // Without reports of load between them, each process gets as many connections.
  await using gitaly = await startFamily('', { tickMs: 600_000, backOffMs: 50 });
  const opened = await connections(gitaly.address, 12);
  const callAll = async (): Promise<void> => {
    for (let index = 0; index < CALLS; index++)
      await opened[index % opened.length]?.repository.repositoryExists({ repository });
  };

  await callAll();
  const before = await metrics(gitaly);
  await until(() => servedBy(gitaly, 'RepositoryExists').size === 3, 'all processes have served calls');
  assert.equal(sumOf(before, HANDLED, METHOD, 'grpc_code="OK"'), CALLS);
  assert.equal(sumOf(before, 'grpc_server_handling_seconds_count', METHOD), CALLS);
  assert.equal(sumOf(before, 'gitlab_build_info'), 1);
  assert.equal(sumOf(before, 'gitaly_connections_total'), opened.length);
  assert.equal(before.match(/^process_resident_memory_bytes\{worker="\d"\} /gm)?.length, 3);
  assert.equal(before.match(/^# TYPE grpc_server_handled_total /gm)?.length, 1);

  for (const pid of readyWorkers(gitaly)) process.kill(pid, 'SIGKILL');
  await until(async () => sumOf(await metrics(gitaly), 'gitaly_ts_worker_ends_total') === 2);
  const after = await metrics(gitaly);
  assert.equal(sumOf(after, HANDLED, METHOD, 'grpc_code="OK"'), CALLS);
  assert.equal(after.match(/^process_resident_memory_bytes\{/gm)?.length, 1);
  await Promise.all(opened.map((connection) => connection.close()));
});

test('workers with nothing to do end, and what they have counted stays', async () => {
  const settings = { choice: 'random', moves: 'random', tickMs: 250, idleMs: 2000 };
  await using gitaly = await startFamily('', settings);
  const opened = await connections(gitaly.address, 12);
  await Promise.all(opened.map((connection) => connection.repository.repositoryExists({ repository })));
  const workers = readyWorkers(gitaly);

  await until(() => !workers.some(isRunning), 'workers run');
  // A process is gone before its end is reported.
  const endsOf = (text: string): number => sumOf(text, 'gitaly_ts_worker_ends_total', 'reason="idle"');
  await until(async () => endsOf(await metrics(gitaly)) === 2, 'ends are not counted');

  const text = await metrics(gitaly);
  assert.equal(sumOf(text, HANDLED, METHOD, 'grpc_code="OK"'), opened.length);
  assert.equal(sumOf(text, 'gitaly_ts_workers'), 1);
  // Their connections were ended gracefully, so that clients go on by others.
  await Promise.all(opened.map((connection) => connection.repository.repositoryExists({ repository })));
  await Promise.all(opened.map((connection) => connection.close()));
});

test('/debug/top lists the processes, and a profile can be taken of each', async () => {
  await using gitaly = await startFamily();
  const response = await fetch(`http://${gitaly.monitoring}/debug/top`);
  const status = (await response.json()) as ServerStatus; // the declared type of this endpoint
  assert.deepEqual(
    status.workers?.map(({ worker }) => worker),
    [0, 1, 2],
  );
  // Workers become ready in any order.
  assert.deepEqual(
    new Set(status.workers?.map(({ pid }) => pid)),
    new Set([gitaly.pid, ...readyWorkers(gitaly)]),
  );

  const profile = (worker: number) =>
    fetch(`http://${gitaly.monitoring}/debug/pprof/profile?seconds=1&worker=${worker}`);
  const taken = await profile(1);
  assert.equal(taken.status, 200);
  // An idle process has no samples, but their type is named.
  assert.ok(gunzipSync(await taken.arrayBuffer()).includes('nanoseconds'));
  assert.equal((await profile(7)).status, 404);
  assert.equal((await profile(Number.NaN)).status, 400);
  const index = await (await fetch(`http://${gitaly.monitoring}/debug/pprof/`)).text();
  for (const path of ['profile?seconds=30', 'heap?seconds=30&amp;worker=1', 'heap?seconds=30&amp;worker=2'])
    assert.ok(index.includes(`href="/debug/pprof/${path}"`), path);
});
