// Own process: it measures memory

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

function scratch() {
  const path = mkdtempSync(join(tmpdir(), 'pprof-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
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
    using directory = scratch();
    const response = await whileBusy(monitoring.get(`${kind}?seconds=2`));
    assert.equal(response.status, 200);
    const file = join(directory.path, 'profile');
    writeFileSync(file, Buffer.from(await response.arrayBuffer()));

    const { stdout } = await promisify(execFile)('go', ['tool', 'pprof', '-top', file], {
      env: { ...process.env, PPROF_TMPDIR: directory.path },
    });

    assert.match(stdout, new RegExp(`^Type: ${type}$`, 'm'));
    assert.match(stdout, /keepProcessorBusy/);
  });
}

// Symptom: the heap profile of an idle server was empty, and pprof had nothing to show.
test('the heap profile of an idle process contains all memory in use', { skip: NO_GO }, async () => {
  await using monitoring = await start();
  using directory = scratch();
  const file = join(directory.path, 'profile');
  const used = process.memoryUsage();

  writeFileSync(file, Buffer.from(await (await monitoring.get('heap?seconds=1')).arrayBuffer()));

  const { stdout } = await promisify(execFile)('go', ['tool', 'pprof', '-top', '-unit=B', file], {
    env: { ...process.env, PPROF_TMPDIR: directory.path },
  });
  for (const name of ['old_space', 'array_buffers', '(V8 heap)']) assert.ok(stdout.includes(name), stdout);
  const [, total] = /of (\d+)B total/.exec(stdout) ?? [];
  const expected = used.heapUsed + used.external;
  assert.ok(Math.abs(Number(total) / expected - 1) < 0.5, `${total} of ${expected} bytes\n${stdout}`);
});

test('a page lists the profiles', async () => {
  await using monitoring = await start();

  for (const path of ['', '../pprof']) {
    const response = await monitoring.get(path);

    assert.equal(response.status, 200, path);
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const links = Array.from((await response.text()).matchAll(/href="([^"]*)"/g), ([, link]) => link);
    assert.deepEqual(links, ['/debug/pprof/heap?seconds=30', '/debug/pprof/profile?seconds=30']);
  }
});

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
