import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { never } from '#testkit/until';
import { CheckRounds } from './check-rounds.ts';

const HOUR_MS = 3_600_000;

test('however many calls fail, one round runs at a time, at most two in a second', async () => {
  const startsMs: number[] = [];
  let running = 0;
  const rounds = new CheckRounds({
    intervalMs: () => HOUR_MS,
    run: async () => {
      assert.equal(++running, 1);
      startsMs.push(performance.now());
      await delay(50); // a second round could begin meanwhile
      running--;
    },
  });
  const endMs = performance.now() + 1700;
  while (performance.now() < endMs) {
    rounds.soon();
    await delay(1); // lets rounds run
  }
  await rounds[Symbol.asyncDispose]();

  assert.ok(startsMs.length >= 2, 'rounds go on');
  for (const [index, startMs] of startsMs.slice(1).entries())
    assert.ok(startMs - (startsMs[index] ?? 0) > 490, 'half a second apart');
});

test('a request during a round has another one follow, and none after the end', async () => {
  const begun = Promise.withResolvers<void>();
  const followed = Promise.withResolvers<void>();
  let count = 0;
  const rounds = new CheckRounds({
    startsAtOnce: true,
    intervalMs: () => HOUR_MS,
    run: async () => {
      if (++count === 1) await begun.promise;
      else followed.resolve();
    },
  });
  assert.equal(count, 1);
  rounds.soon();
  begun.resolve();
  await followed.promise;

  rounds.soon();
  await rounds[Symbol.asyncDispose]();
  rounds.soon();
  await never(() => count > 2, 'a round after the end', 600); // rounds are half a second apart
});

test('an interval below half a second stays as it is, also when a round is wanted soon', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  let count = 0;
  const startMs = performance.now();
  await using rounds = new CheckRounds({
    intervalMs: () => 20,
    run: async () => {
      if (++count === 5) resolve();
      else if (count > 2) rounds.soon();
    },
  });
  await promise;
  // Timers count whole milliseconds and may end one early.
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs >= 90 && tookMs < 1000, `${tookMs} ms`);
});
