import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { startMonitoringServer } from '#platform/metrics/monitoring-server';

const NO_GO = spawnSync('go', ['version']).status === 0 ? false : 'go is not installed';

async function start() {
  const options = { registry: new MetricsRegistry(), isReady: () => true };
  const server = await startMonitoringServer({ host: '127.0.0.1', port: 0 }, options);
  const url = `http://127.0.0.1:${server.address.port}/debug/pprof`;
  return {
    get: (path: string, init: RequestInit = {}) => fetch(`${url}/${path}`, init),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** Uses processor time and memory until the response is there. */
async function whileBusy<T>(work: Promise<T>): Promise<T> {
  const kept: string[][] = [];
  const timer = setInterval(function keepProcessorBusy() {
    const until = performance.now() + 20;
    while (performance.now() < until) kept.push(Array.from({ length: 500 }, (_, index) => `${index}`));
    kept.splice(0, kept.length - 200);
  }, 25);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}

for (const [kind, type] of [
  ['profile', 'cpu'],
  ['heap', 'inuse_space'],
] as const) {
  test(`go tool pprof reads /debug/pprof/${kind}`, { skip: NO_GO }, async () => {
    await using monitoring = await start();
    const directory = mkdtempSync(join(tmpdir(), 'pprof-'));
    try {
      const response = await whileBusy(monitoring.get(`${kind}?seconds=2`));
      assert.equal(response.status, 200);
      const file = join(directory, 'profile');
      writeFileSync(file, Buffer.from(await response.arrayBuffer()));

      const { stdout } = await promisify(execFile)('go', ['tool', 'pprof', '-top', file], {
        env: { ...process.env, PPROF_TMPDIR: directory },
      });

      assert.match(stdout, new RegExp(`^Type: ${type}$`, 'm'));
      assert.match(stdout, /keepProcessorBusy/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
}

test('one profile is taken at a time, and a client that leaves ends it', async () => {
  await using monitoring = await start();
  const leaving = new AbortController();
  const first = monitoring.get('profile?seconds=300', { signal: leaving.signal });
  first.catch(() => {});
  let status = 0;
  // The first request takes a moment to arrive; until then this one is the profile that is taken.
  while (status !== 503) ({ status } = await monitoring.get('heap?seconds=1'));

  leaving.abort();
  await assert.rejects(first);

  while (status !== 200) ({ status } = await monitoring.get('heap?seconds=1'));
});

test('a time out of range is refused, and other paths do not exist', async () => {
  await using monitoring = await start();

  for (const seconds of ['0', '301', 'x', '1.5'])
    assert.equal((await monitoring.get(`profile?seconds=${seconds}`)).status, 400, seconds);
  assert.equal((await monitoring.get('goroutine')).status, 404);
});
