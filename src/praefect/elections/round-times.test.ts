import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { movedClock } from '#testkit/praefect/moved-clock';
import { CheckRounds, type CheckRoundsOptions } from './check-rounds.ts';

/** Rounds that a test ends, at intervals of three seconds. */
function start(context: TestContext, options: Partial<CheckRoundsOptions> = {}) {
  const pass = movedClock(context);
  const ends: (() => void)[] = [];
  let begun = 0;
  const rounds = new CheckRounds({
    intervalMs: () => 3000,
    run: async () => {
      begun++;
      await new Promise<void>((resolve) => ends.push(resolve));
    },
    ...options,
  });
  const end = async (): Promise<void> => {
    ends.shift()?.();
    await pass(0);
  };
  return { rounds, pass, end, begun: () => begun };
}

test('rounds begin at intervals from the start of the one before', async (context) => {
  const { begun, end, pass } = start(context);
  await pass(2999);
  assert.equal(begun(), 0);
  await pass(1);
  assert.equal(begun(), 1);

  await pass(1000);
  await end();
  await pass(1999);
  assert.equal(begun(), 1);
  await pass(1);
  assert.equal(begun(), 2);
});

test('a round that took longer than the interval is followed at once', async (context) => {
  const { begun, end, pass } = start(context, { startsAtOnce: true });
  assert.equal(begun(), 1);
  await pass(10_000);
  assert.equal(begun(), 1, 'one at a time');

  await end();
  await pass(0);
  assert.equal(begun(), 2);
});

test('a requested round begins half a second after the start of the last one', async (context) => {
  const { begun, end, pass, rounds } = start(context, { startsAtOnce: true });
  await pass(100);
  await end();

  rounds.soon();
  await pass(399);
  rounds.soon();
  assert.equal(begun(), 1);
  await pass(1);
  assert.equal(begun(), 2);

  await end();
  await pass(2999);
  assert.equal(begun(), 2, 'the request is served');
  rounds.soon();
  await pass(0);
  assert.equal(begun(), 3, 'the last start is long ago');
});

test('a request does not delay a round whose interval is shorter', async (context) => {
  const { begun, end, pass, rounds } = start(context, { startsAtOnce: true, intervalMs: () => 200 });
  await end();

  rounds.soon();
  await pass(199);
  assert.equal(begun(), 1);
  await pass(1);

  assert.equal(begun(), 2);
});

test('a request while a round runs has the next one begin early, once', async (context) => {
  const { begun, end, pass, rounds } = start(context, { startsAtOnce: true });
  await pass(100);
  rounds.soon();
  await pass(1000);
  assert.equal(begun(), 1);
  await end();
  await pass(0);
  assert.equal(begun(), 2);
  await end();
  await pass(2999);
  assert.equal(begun(), 2);
});

test('the end of the running round is waited for, and then that of the next one', async (context) => {
  const { end, pass, rounds } = start(context, { startsAtOnce: true });
  const ended: string[] = [];
  void rounds.ended.then(() => ended.push('running'));
  await pass(0);
  assert.equal(ended.join(), '');
  await end();
  assert.equal(ended.join(), 'running');

  void rounds.ended.then(() => ended.push('next'));
  await pass(3000);
  assert.equal(ended.join(), 'running');
  await end();
  assert.equal(ended.join(), 'running,next');
});

test('disposing waits for the round that runs, and no other begins', async (context) => {
  const { begun, end, pass, rounds } = start(context, { startsAtOnce: true });
  let isDisposed = false;
  const disposing = rounds[Symbol.asyncDispose]().then(() => {
    isDisposed = true;
  });
  await pass(0);
  assert.equal(isDisposed, false);
  await end();
  await disposing;

  rounds.soon();
  await pass(10_000);
  assert.equal(begun(), 1);
});

test('disposing between two rounds cancels the next one', async (context) => {
  const { begun, pass, rounds } = start(context);
  await rounds[Symbol.asyncDispose]();
  await pass(10_000);
  assert.equal(begun(), 0);
});
