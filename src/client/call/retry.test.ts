import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, DEFAULT_RETRY_POLICY, retryDelayMs } from './retry.ts';

test('the default policy waits 0.4 s, 0.8 s and 1.4 s and stops after the fourth attempt', () => {
  const delays = [1, 2, 3, 4].map((attempt) =>
    retryDelayMs(DEFAULT_RETRY_POLICY, { attempt, code: 'UNAVAILABLE', random: 0.5 }),
  );

  assert.deepEqual(delays, [400, 800, 1400, undefined]);
});

test('a delay varies randomly by a fifth', () => {
  assert.equal(backoffMs({ attempt: 1, baseMs: 1000, maxMs: 9000, multiplier: 1.6, random: 0 }), 800);
  assert.equal(
    Math.round(backoffMs({ attempt: 1, baseMs: 1000, maxMs: 9000, multiplier: 1.6, random: 1 })),
    1200,
  );
});

test('only the codes of the policy are retried', () => {
  assert.equal(retryDelayMs(DEFAULT_RETRY_POLICY, { attempt: 1, code: 'ABORTED' }), undefined);
  assert.equal(retryDelayMs(DEFAULT_RETRY_POLICY, { attempt: 1, code: undefined }), undefined);
  assert.equal(retryDelayMs(undefined, { attempt: 1, code: 'UNAVAILABLE' }), undefined);
});
