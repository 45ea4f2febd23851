import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import type { Balancer } from './balancer.ts';
import { waitUntilReady } from './wait-until-ready.ts';

const failure = (temporary: boolean) =>
  new GitalyError('UNAVAILABLE', 'no server', { metadata: { temporary } });

/** A balancer whose attempts have these results in turn; the last one repeats. */
function attempting(...results: (Error | 'ready' | 'waits')[]) {
  const made = { attempts: 0, state: 'idle' };
  const balancer = {
    get state() {
      return made.state;
    },
    async waitForTransport(signal: AbortSignal): Promise<void> {
      const result = results[Math.min(made.attempts, results.length - 1)];
      made.attempts++;
      if (result instanceof Error) throw result;
      if (result === 'ready') return;
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
  };
  return { made, balancer: balancer as unknown as Balancer };
}

test('failed attempts are repeated until one succeeds', async () => {
  const { balancer, made } = attempting(failure(true), failure(false), 'ready');

  await waitUntilReady(balancer, {});

  assert.equal(made.attempts, 3);
});

test('a permanent failure is final only on request, a temporary one never', async () => {
  const { balancer, made } = attempting(failure(true), failure(false), 'ready');

  await assert.rejects(waitUntilReady(balancer, { failOnNonTemporaryError: true }), failure(false));

  assert.equal(made.attempts, 2);
  const unknown = attempting(new GitalyError('UNAVAILABLE', 'of another kind'), 'ready');
  await waitUntilReady(unknown.balancer, { failOnNonTemporaryError: true });
});

test('a connection that was closed is waited for no longer', async () => {
  const closed = new GitalyError('CANCELLED', 'the client connection is closing');
  const { balancer, made } = attempting(closed);
  made.state = 'shutdown';

  await assert.rejects(waitUntilReady(balancer, {}), closed);

  assert.equal(made.attempts, 1);
});

test('the time limit is an error with the last failure as its cause', async () => {
  const last = failure(true);
  const expected = { code: 'DEADLINE_EXCEEDED', message: 'context deadline exceeded' };
  const pausing = attempting(last);
  const waiting = attempting(last, 'waits');

  await assert.rejects(waitUntilReady(pausing.balancer, { timeoutMs: 20 }), { ...expected, cause: last });
  await assert.rejects(waitUntilReady(waiting.balancer, { timeoutMs: 100 }), { ...expected, cause: last });
});

test('an abort ends the wait, with its reason as the cause', async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const reason = new Error('no longer wanted');
  const { balancer } = attempting('waits');
  const waiting = waitUntilReady(balancer, { signal, timeoutMs: 60_000 });

  abort.abort(reason);

  await assert.rejects(waiting, { code: 'CANCELLED', message: 'context canceled', cause: reason });
});
