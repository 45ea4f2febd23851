import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../log/logger.ts';
import { type GracefulStopOptions, gracefulStop } from './serve-until-stopped.ts';

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
