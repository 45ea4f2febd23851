import assert from 'node:assert/strict';
import { test } from 'node:test';
import { never, until } from '#testkit/until';
import { createLogger } from '../log/logger.ts';
import { InheritedSockets } from './handover/inherited-sockets.ts';
import { type GracefulStopOptions, gracefulStop, serveUntilStopped } from './serve-until-stopped.ts';
import { ServiceManager } from './service-manager.ts';
import { listenForStop } from './signals.ts';

function arrange(options: Partial<GracefulStopOptions> = {}) {
  const events: string[] = [];
  const stream = { write: (line: string) => events.push(JSON.parse(line).msg) };
  const force = new AbortController();
  const stop = gracefulStop({
    server: 'Gitaly',
    request: { reason: 'terminated' },
    graceMs: 60_000,
    force: force.signal,
    logger: createLogger({ format: 'json', level: 'info', stream }),
    drain: async () => void events.push('drained'),
    kill: async () => void events.push('killed'),
    ...options,
  });
  return { events, force, stop };
}

test('a server whose calls end in time stops cleanly', async () => {
  const { stop, events } = arrange();

  assert.equal(await stop, undefined);
  assert.deepEqual(events, [
    '[shutdown] stopping Gitaly',
    'starting grace period',
    'drained',
    '[shutdown] stopped Gitaly gracefully',
  ]);
});

test('a grace period of more than 24 days does not end at once', async () => {
  const drained = Promise.withResolvers<void>();
  const { events, stop } = arrange({ graceMs: 2 ** 31, drain: () => drained.promise });

  await never(() => events.includes('killed'), 'the end of the grace period', 20);

  drained.resolve();
  assert.equal(await stop, undefined);
});

test('calls that outlast the grace period are killed', async () => {
  const { stop, events } = arrange({
    graceMs: 1,
    drain: () => new Promise(() => {}),
  });

  assert.equal((await stop)?.message, 'received signal "terminated": wait: grace period expired');
  assert.deepEqual(events.slice(2), ['killed']);
});

test('a second signal ends the grace period', async () => {
  const { stop, events, force } = arrange({ drain: () => new Promise(() => {}) });

  force.abort();

  assert.equal((await stop)?.message, 'received signal "terminated": wait: force shutdown');
  assert.deepEqual(events.slice(2), ['killed']);
});

// A supervisor that sent SIGHUP as soon as there was a PID file stopped the server.
test('SIGHUP restarts a server from the moment at which it says that it is ready', async () => {
  using signals = listenForStop();
  const events: string[] = [];
  let isReady = false;
  const serviceManager = new ServiceManager({
    onProblem: assert.fail,
    env: { NOTIFY_SOCKET: '/notify' },
    send: (message) => {
      events.push(message.split('\n')[0] ?? '');
      if (!isReady) process.emit('SIGHUP', 'SIGHUP');
      isReady = true;
    },
  });
  const stream = { write: (line: string) => events.push(JSON.parse(line).msg) };
  const serving = serveUntilStopped(
    { sockets: [], drain: async () => {}, [Symbol.asyncDispose]: async () => {} },
    {
      name: 'Gitaly',
      logger: createLogger({ format: 'json', level: 'info', stream }),
      graceMs: 60_000,
      life: {
        signals,
        inherited: InheritedSockets.fromEnvironment({}),
        serviceManager,
        log: { isShared: false, hasWorkers: false },
        restartsOnHangup: true,
        successor: { file: process.execPath, args: ['--eval', 'process.exit(1)'] },
      },
    },
  );

  await until(
    () => events.includes('Upgrade failed') || signals.stop.aborted,
    () => events.join('\n'),
  );
  process.emit('SIGTERM', 'SIGTERM');

  assert.equal(await serving, 0);
  assert.deepEqual(events.slice(0, 5), ['READY=1', 'RELOADING=1', 'Upgrade failed', 'READY=1', 'STOPPING=1']);
});
