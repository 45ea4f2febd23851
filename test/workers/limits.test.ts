import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Connection } from '#client/index';
import type { GitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { connections, metrics, readyWorkers, repository, startFamily, sumOf } from './family.ts';
import { HELD_RPC, hold, IN_PROGRESS, QUEUED } from './held-calls.ts';

const MAX = 2;

async function startLimited(limit: string): Promise<{ gitaly: GitalyProcess; opened: Connection[] }> {
  const gitaly = await startFamily(`${limit}\n`, { choice: 'random', tickMs: 600_000, backOffMs: 50 });
  const opened = await connections(gitaly.address, 12);
  await opened[0]?.repository.createRepository({ repository });
  for (const connection of opened) await connection.repository.repositoryExists({ repository });
  return { gitaly, opened };
}

test('a limit holds for all processes, also after one of them was killed', async () => {
  const limit = `[[concurrency]]\nrpc = "${HELD_RPC}"\nmax_per_repo = ${MAX}\nmax_queue_size = 100`;
  const { gitaly, opened } = await startLimited(limit);
  await using _gitaly = gitaly;
  const calls = opened.map(hold);
  await until(async () => sumOf(await metrics(gitaly), QUEUED) === calls.length - MAX, 'all wait');
  assert.equal(sumOf(await metrics(gitaly), IN_PROGRESS), MAX);

  const [killed = 0] = readyWorkers(gitaly);
  process.kill(killed, 'SIGKILL');
  await until(async () => (await metrics(gitaly)).includes('gitaly_ts_worker_ends_total{reason="failed"} 1'));
  await until(async () => {
    const text = await metrics(gitaly);
    const [running, waiting] = [sumOf(text, IN_PROGRESS), sumOf(text, QUEUED)];
    assert.ok(running <= MAX, `${running} calls run`);
    const left = calls.filter(({ failed }) => failed === undefined).length;
    return running === Math.min(MAX, left) && waiting === left - running;
  }, 'the turns of the killed process are given to others');

  for (const call of calls) call.end();
  const outcomes = await Promise.all(calls.map(({ outcome }) => outcome));
  assert.ok(
    outcomes.every((code) => code === 'OK' || code === 'UNAVAILABLE'),
    outcomes.join(),
  );
  await until(async () => sumOf(await metrics(gitaly), IN_PROGRESS) === 0, 'no call runs');
});

test('a full queue is full for all processes, and a rate is one for all', async () => {
  const limit =
    `[[concurrency]]\nrpc = "${HELD_RPC}"\nmax_per_repo = 1\nmax_queue_size = 3\n` +
    '[[rate_limiting]]\nrpc = "/gitaly.RepositoryService/RepositorySize"\ninterval = "1h"\nburst = 5';
  const { gitaly, opened } = await startLimited(limit);
  await using _gitaly = gitaly;

  const calls = opened.map(hold);
  await until(async () => sumOf(await metrics(gitaly), QUEUED) === 3, 'three wait');
  const codes = (): unknown[] => calls.flatMap(({ failed }) => failed ?? []);
  await until(() => codes().length === opened.length - 4, 'the others are refused');
  assert.deepEqual(new Set(codes()), new Set(['RESOURCE_EXHAUSTED']));
  for (const call of calls) call.end();

  const sizes = await Promise.allSettled(
    opened.map((connection) => connection.repository.repositorySize({ repository })),
  );
  assert.equal(sizes.filter(({ status }) => status === 'fulfilled').length, 5);
});
