import assert from 'node:assert/strict';
import { test } from 'node:test';
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
