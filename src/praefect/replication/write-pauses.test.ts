// Own process: it looks for objects in the heap, which takes seconds in a large one

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queryObjects } from 'node:v8';
import { openTimers } from '#testkit/measure/open-timers';
import { until } from '#testkit/until';
import { WritePauses } from './write-pauses.ts';

const repository = { virtualStorage: 'default', relativePath: 'a.git' };
const NEVER = new AbortController().signal;
/** Longer than a test. */
const LONG_MS = 600_000;

/** Lets promises settle that wait for nothing but each other. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a write waits for the pauses of its repository, and for those of no other', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS });
  const one = await pauses.pause(repository);
  const two = await pauses.pause(repository);
  let write: Disposable | undefined;
  const begun = pauses.write(repository, NEVER).then((started) => {
    write = started;
  });
  using _other = await pauses.write({ ...repository, relativePath: 'b.git' }, NEVER);
  using _elsewhere = await pauses.write({ ...repository, virtualStorage: 'other' }, NEVER);

  await one[Symbol.asyncDispose]();
  await settled();
  assert.equal(write, undefined);
  await two[Symbol.asyncDispose]();
  await begun;
  using _next = await pauses.write(repository, NEVER);
});

test('a write that waits is not held back by pauses that begin after it', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS, runningLimitMs: 1 });
  const first = await pauses.pause(repository);
  const begun = pauses.write(repository, NEVER);
  await using _second = await pauses.pause(repository);
  await first[Symbol.asyncDispose]();

  using _write = await begun;
});

test('a pause begins when the writes that run have ended', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS, runningLimitMs: LONG_MS });
  const running = [await pauses.write(repository, NEVER), await pauses.write(repository, NEVER)];
  using _other = await pauses.write({ ...repository, relativePath: 'b.git' }, NEVER);
  let isBegun = false;
  const begun = pauses.pause(repository).then((pause) => {
    isBegun = true;
    return pause;
  });
  running[0]?.[Symbol.dispose]();
  await settled();
  assert.equal(isBegun, false);
  running[1]?.[Symbol.dispose]();
  await using _pause = await begun;
});

test('a pause waits for a write that runs after another one has ended', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS, runningLimitMs: LONG_MS });
  const [ended, running] = [await pauses.write(repository, NEVER), await pauses.write(repository, NEVER)];
  ended[Symbol.dispose]();
  let isBegun = false;
  const begun = pauses.pause(repository).then((pause) => {
    isBegun = true;
    return pause;
  });
  await settled();
  assert.equal(isBegun, false);
  running[Symbol.dispose]();
  await using _pause = await begun;
});

test('a pause does not wait longer than its limit for a write that runs', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS, runningLimitMs: 1 });
  using _running = await pauses.write(repository, NEVER);
  await using pause = await pauses.pause(repository);
  assert.equal(pause.signal.aborted, false);
});

test('a pause that nobody ends holds no write back for longer than its limit', async () => {
  const pauses = new WritePauses({ limitMs: 50 });
  const from = performance.now();
  const pause = await pauses.pause(repository);
  using _write = await pauses.write(repository, NEVER);
  assert.ok(performance.now() - from >= 45, 'it was held back');
  await until(() => pause.signal.aborted, 'the copy is ended');
});

test('a write whose client has gone waits no longer', async () => {
  const pauses = new WritePauses({ limitMs: LONG_MS });
  await using _pause = await pauses.pause(repository);
  const client = new AbortController();
  const write = pauses.write(repository, client.signal);
  client.abort(new Error('gone'));
  await assert.rejects(write, { message: 'gone' });
});

test('a pause that cannot be announced holds nothing back', async () => {
  const pauses = new WritePauses({
    limitMs: LONG_MS,
    announce: async () => {
      throw new Error('no database');
    },
  });
  await assert.rejects(pauses.pause(repository), { message: 'no database' });
  using _write = await pauses.write(repository, NEVER);
});

test('without a limit of its own a pause holds writes back for four seconds', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const hold = new WritePauses().hold('key');
  let hasEnded = false;
  const ended = hold.ended.then(() => {
    hasEnded = true;
  });

  context.mock.timers.tick(3999);
  await settled();
  assert.equal(hasEnded, false);
  context.mock.timers.tick(1);
  await ended;
});

test('a pause that was over by its limit does not end the next one when it is disposed', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const pauses = new WritePauses({ limitMs: LONG_MS });
  const late = await pauses.pause(repository);
  context.mock.timers.tick(LONG_MS);
  const next = await pauses.pause(repository);
  let isBegun = false;

  await late[Symbol.asyncDispose]();

  const begun = pauses.write(repository, NEVER).then((write) => {
    isBegun = true;
    return write;
  });
  await settled();
  assert.equal(isBegun, false);
  await next[Symbol.asyncDispose]();
  using _write = await begun;
});

test('a pause that is disposed leaves no timer', async (context) => {
  const pauses = new WritePauses({ limitMs: LONG_MS });
  const open = openTimers(context);

  const pause = await pauses.pause(repository);
  assert.equal(open(), 1);
  await pause[Symbol.asyncDispose]();

  assert.equal(open(), 0);
});

test('nothing is kept of repositories whose writes and pauses have ended', async () => {
  const REPOSITORIES = 1000;
  const pauses = new WritePauses({ limitMs: LONG_MS });
  const setsBefore = queryObjects(Set, { format: 'count' });

  for (let index = 0; index < REPOSITORIES; index++) {
    const each = { ...repository, relativePath: `${index}.git` };
    (await pauses.write(each, NEVER))[Symbol.dispose]();
    await (await pauses.pause(each))[Symbol.asyncDispose]();
  }

  const kept = queryObjects(Set, { format: 'count' }) - setsBefore;
  assert.ok(kept < REPOSITORIES / 10, `${kept} sets for ${REPOSITORIES} repositories`);
  using _write = await pauses.write(repository, NEVER);
});
