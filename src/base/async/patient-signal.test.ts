import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { never } from '#testkit/until';
import { patientSignal } from './patient-signal.ts';

const TIMEOUT_MS = 100;
/** Of each delay; longer than the whole timeout. */
const DELAY_MS = 150;

function blockLoop(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('it is aborted after the timeout, with the reason', async () => {
  const startedMs = performance.now();
  using limited = patientSignal(TIMEOUT_MS, () => new Error('late'));

  await once(limited.signal, 'abort');

  assert.equal(limited.signal.reason.message, 'late');
  const tookMs = performance.now() - startedMs;
  // A timer may be up to a millisecond early.
  assert.ok(tookMs >= TIMEOUT_MS * 0.8, `${tookMs} ms`);
});

test('delays of the event loop do not count as a whole', async () => {
  using limited = patientSignal(TIMEOUT_MS, () => new Error('late'));

  for (let delays = 0; delays < 4; delays++) {
    blockLoop(DELAY_MS);
    await nextTurn();
    await nextTurn();
  }

  assert.equal(limited.signal.aborted, false);
});

test('disposing it leaves no timer', async () => {
  const limited = patientSignal(1, () => new Error('late'));
  blockLoop(2);
  await nextTurn(); // the end of a step is due

  limited[Symbol.dispose]();

  await never(() => limited.signal.aborted);
});
