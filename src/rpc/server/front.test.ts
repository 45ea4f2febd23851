import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLogger } from '#platform/log/logger';
import { TRANSFERS } from '#platform/metrics/cache-metrics';
import { gitalyMetrics } from '#platform/metrics/gitaly-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { Health } from '#wire/gen/grpc/health/v1/health_pb';
import { Backchannels } from './connection/backchannels.ts';
import { Front } from './front.ts';
import { serve } from './handler.ts';

const CHECK = callable(Health.method.check);

async function check(channel: GrpcChannel): Promise<void> {
  for await (const _ of channel.invoke(CHECK, [{ service: '' }], { timeoutMs: 30_000 }));
}

/** Opens a front whose calls wait for `release`. */
async function openFront(context: TestContext, check: () => Promise<object>) {
  const directory = makeScratchDirectory('front');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const registry = new MetricsRegistry();
  const [socketPath, internalSocket] = [join(directory, 'external'), join(directory, 'internal')];
  const tls = {
    certificatePath: undefined,
    keyPath: undefined,
    key: undefined,
    minVersion: 'TLS 1.2',
  } as const;
  const front = await Front.open({
    config: {
      socketPath,
      listenAddr: '127.0.0.1:0',
      tlsListenAddr: undefined,
      tls,
      prometheusListenAddr: '127.0.0.1:0',
      auth: { token: undefined },
    },
    logger: createLogger({ format: 'json', level: 'info', stream: { write: () => {} } }),
    metrics: { registry, callers: gitalyMetrics(registry), transfers: registry.declare(TRANSFERS) },
    services: [serve(Health, { check })],
    backchannels: new Backchannels((stream) => connectGrpc(stream)),
    monitoring: {},
    internalSocket,
  });
  context.after(() => front[Symbol.asyncDispose]());
  return { front, socketPath, internalSocket };
}

test('all sockets and its own process reach a front; the internal one stays', async (context) => {
  const { front, socketPath, internalSocket } = await openFront(context, async () => ({}));
  const local = connectGrpc(front.connect());

  await check(local);
  for (const path of [socketPath, internalSocket]) {
    const channel = connectGrpc(connect(path));
    await check(channel);
    channel.destroy();
  }

  local.destroy();
  assert.equal(front.addresses.unix, `unix:${socketPath}`);
  assert.match(front.addresses.tcp ?? '', /^tcp:\/\/127\.0\.0\.1:\d+$/);
  assert.equal(front.addresses.tls, undefined);
  const port = Number(front.addresses.tcp?.split(':').at(-1));
  const monitoringPort = Number(front.monitoringAddress?.split(':').at(-1));
  assert.ok(port > 0 && monitoringPort > 0 && port !== monitoringPort);
  assert.equal(front.sockets.length, 3, 'the Unix socket, the TCP socket and that of monitoring');
});

test('while a drain waits for a call, only the internal socket accepts others', async (context) => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  let calls = 0;
  const { front, socketPath, internalSocket } = await openFront(context, async () => {
    if (calls++ > 0) return {};
    begin();
    await released;
    return {};
  });
  const waiting = connectGrpc(connect(socketPath));
  const first = check(waiting);
  await begun;

  const draining = front.drain();
  assert.throws(() => front.connect(), /the server has stopped/);
  const [error] = await once(connect(socketPath), 'error');
  const hook = connectGrpc(connect(internalSocket));
  await check(hook);
  const response = await fetch(`${front.monitoringAddress}/-/ready`);
  await response.arrayBuffer();

  assert.match(String(error), /connect (?:ECONNREFUSED|ENOENT) /);
  assert.equal(response.status, 503);
  release();
  await first;
  await draining;
  hook.destroy();
  waiting.destroy();
});
