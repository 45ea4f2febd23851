import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { never } from '#testkit/until';
import { counter, histogram } from './metric.ts';
import { MetricsRegistry } from './metrics-registry.ts';
import { startMonitoringServer } from './monitoring-server.ts';

async function start() {
  const registry = new MetricsRegistry();
  const state = { ready: false };
  const server = await startMonitoringServer(
    { host: '127.0.0.1', port: 0 },
    { registry, isReady: () => state.ready },
  );
  return {
    registry,
    state,
    get: (path: string, headers: Record<string, string> = {}) =>
      fetch(`http://127.0.0.1:${server.address.port}${path}`, { headers }),
    /** Sends bytes, and returns all that the server sends until it closes the connection. */
    exchange: async (text: string): Promise<string> => {
      const socket = connect(server.address.port, '127.0.0.1');
      socket.write(text);
      return Buffer.concat(await socket.toArray()).toString();
    },
    [Symbol.asyncDispose]: () => server.close(),
  };
}

test('metrics are returned in the text format, including those of the process', async () => {
  await using monitoring = await start();
  monitoring.registry
    .declare({ metric: counter('calls_total', ['name'], 'Calls.') })
    .metric.with({ name: 'a "b"\n\\' })
    .inc(3);
  monitoring.registry
    .declare({ metric: histogram('seconds', ['x'], 'Seconds.', [0.5]) })
    .metric.with({ x: 'y' })
    .observe(0.25);

  const response = await monitoring.get('/metrics');

  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  assert.match(
    text,
    /^# HELP calls_total Calls\.\n# TYPE calls_total counter\ncalls_total\{name="a \\"b\\"\\n\\\\"\} 3$/m,
  );
  assert.match(
    text,
    /^seconds_bucket\{x="y",le="0\.5"\} 1\nseconds_bucket\{x="y",le="\+Inf"\} 1\nseconds_sum\{x="y"\} 0\.25\nseconds_count\{x="y"\} 1$/m,
  );
  for (const name of [
    'process_open_fds',
    'process_max_fds',
    'process_resident_memory_bytes',
    'process_cpu_seconds_total',
    'process_cpu_user_seconds_total',
    'process_cpu_system_seconds_total',
    'process_start_time_seconds',
    'process_virtual_memory_bytes',
    'process_heap_bytes',
    'nodejs_eventloop_lag_seconds',
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_total_bytes',
    'nodejs_heap_size_used_bytes',
    'nodejs_external_memory_bytes',
  ]) {
    assert.match(text, new RegExp(`^${name} [\\d.e+-]+$`, 'm'), name);
  }
  assert.match(text, /^nodejs_heap_space_size_used_bytes\{space="new"\} [1-9]\d+$/m);
});

for (const { accepted, encoding } of [
  { accepted: 'gzip', encoding: 'gzip' },
  { accepted: 'br, GZIP;q=0.5', encoding: 'gzip' },
  { accepted: 'gzip;q=0, identity', encoding: null },
  { accepted: 'identity', encoding: null },
])
  test(`metrics are encoded as ${encoding ?? 'identity'} for ${accepted}`, async () => {
    await using monitoring = await start();
    monitoring.registry.declare({ metric: counter('calls_total', [], 'Calls.') }).metric.inc(3);

    const responses = await Promise.all(
      [1, 2].map(() => monitoring.get('/metrics', { 'accept-encoding': accepted })),
    );

    for (const response of responses) {
      assert.equal(response.headers.get('content-encoding'), encoding);
      // fetch decompresses it
      assert.match(await response.text(), /^calls_total 3$/m);
    }
  });

test('metrics are returned as OpenMetrics on request', async () => {
  await using monitoring = await start();
  monitoring.registry.declare({ metric: counter('calls_total', [], 'Calls.') }).metric.inc(3);

  const response = await monitoring.get('/metrics', {
    accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5',
  });

  assert.match(response.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
  const text = await response.text();
  assert.match(text, /^# TYPE calls counter\ncalls_total 3$/m);
  assert.ok(text.endsWith('# EOF\n'));
});

test('the process is healthy from the start, and ready when isReady returns true', async () => {
  await using monitoring = await start();

  const paths = ['/-/healthy', '/-/liveness', '/-/ready', '/-/readiness'];
  const statuses = () => Promise.all(paths.map(async (path) => (await monitoring.get(path)).status));

  assert.deepEqual(await statuses(), [200, 200, 503, 503]);
  monitoring.state.ready = true;
  assert.deepEqual(await statuses(), [200, 200, 200, 200]);
  monitoring.state.ready = false;
  assert.deepEqual(await statuses(), [200, 200, 503, 503]);
});

test('concurrent requests share a rendering, and a later request includes later events', async () => {
  await using monitoring = await start();
  const calls = monitoring.registry.declare({ metric: counter('calls_total', [], 'Calls.') }).metric;
  let renderings = 0;
  monitoring.registry.beforeCollect(() => {
    renderings++;
  });

  // The server reads all of them at once, however slow the machine is.
  const requests = Array.from(
    { length: 50 },
    (_, index) => `GET /metrics HTTP/1.1\r\nhost: x\r\n${index === 49 ? 'connection: close\r\n' : ''}\r\n`,
  );
  const responses = await monitoring.exchange(requests.join(''));
  calls.inc();
  const later = await (await monitoring.get('/metrics')).text();

  assert.equal(responses.match(/^process_open_fds /gm)?.length, 50);
  assert.equal(renderings, 2);
  assert.match(later, /^calls_total 1$/m);
});

// Symptom: while the database was slow, each request of its metrics started one more query.
test('a rendering starts after the previous one, which many requests wait for', async () => {
  const entered = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  let renderings = 0;
  const render = async (): Promise<string> => {
    renderings++;
    entered.resolve();
    await gate.promise;
    return '';
  };
  const server = await startMonitoringServer(
    { host: '127.0.0.1', port: 0 },
    {
      registry: new MetricsRegistry(),
      isReady: () => true,
      further: { path: '/further', render, isInMetrics: false },
    },
  );
  const get = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${server.address.port}/further`)).text();

  const first = get();
  await entered.promise;
  const others = [get(), get()];
  await never(() => renderings > 1);
  gate.resolve();
  await Promise.all([first, ...others]);
  await server.close();

  assert.ok(renderings === 2 || renderings === 3, `${renderings} renderings`);
});

for (const beginning of ['', 'GET /met', 'GET /metrics HTTP/1.1\r\nx-a: ']) {
  test(`a client that stops after ${JSON.stringify(beginning)} is disconnected`, async () => {
    const options = { registry: new MetricsRegistry(), isReady: () => true, requestTimeoutMs: 100 };
    const server = await startMonitoringServer({ host: '127.0.0.1', port: 0 }, options);
    const socket = connect(server.address.port, '127.0.0.1').resume();

    socket.write(beginning);
    await once(socket, 'close');

    await server.close();
  });
}

test('any other path returns 404', async () => {
  await using monitoring = await start();

  for (const path of ['/', '/metrics/x', '/debug', '/-/'])
    assert.equal((await monitoring.get(path)).status, 404);
});

test('expensive metrics have a path of their own, and are in the others if they should be', async () => {
  const registry = new MetricsRegistry();
  const start = (isInMetrics: boolean) =>
    startMonitoringServer(
      { host: '127.0.0.1', port: 0 },
      {
        registry,
        isReady: () => true,
        further: { path: '/db_metrics', render: async () => 'rows 3\n', isInMetrics },
      },
    );
  const [apart, together] = [await start(false), await start(true)];
  const get = async ({ address }: typeof apart, path: string): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${address.port}${path}`)).text();

  assert.equal(await get(apart, '/db_metrics'), 'rows 3\n');
  assert.doesNotMatch(await get(apart, '/metrics'), /rows/);
  assert.match(await get(together, '/metrics'), /^rows 3$/m);
  await apart.close();
  await together.close();
});
