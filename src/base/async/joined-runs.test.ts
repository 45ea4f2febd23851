import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { JoinedRuns } from './joined-runs.ts';

interface Run {
  readonly callers: number;
  readonly end: PromiseWithResolvers<string>;
}

/** Work that ends when a test lets it, and its runs so far. */
function start(maxWaitMs = 60_000) {
  const joined = new JoinedRuns<string>({ maxWaitMs });
  const runs: Run[] = [];
  const run = (key = 'a') =>
    joined.run(key, (callers) => {
      const end = Promise.withResolvers<string>();
      runs.push({ callers, end });
      return end.promise;
    });
  return { run, runs };
}

test('callers that come while work runs share the next run', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { run, runs } = start();
  const first = run();
  const others = [run(), run(), run()];
  assert.deepEqual(
    runs.map(({ callers }) => callers),
    [1],
  );

  runs[0]?.end.resolve('one');
  assert.equal(await first, 'one');
  await immediate();
  const late = run();
  assert.deepEqual(
    runs.map(({ callers }) => callers),
    [1, 3],
  );
  runs[1]?.end.resolve('two');
  assert.deepEqual(await Promise.all(others), ['two', 'two', 'two']);
  await immediate();
  assert.deepEqual(
    runs.map(({ callers }) => callers),
    [1, 3, 1],
  );
  runs[2]?.end.resolve('three');
  assert.equal(await late, 'three');

  void run();
  assert.equal(runs.length, 4, 'nothing is kept');
  context.mock.timers.tick(60_000);
  assert.equal(runs.length, 4, 'nobody waits any more');
});

test('work for other keys runs at once', () => {
  const { run, runs } = start();
  void run('a');
  void run('b');
  assert.equal(runs.length, 2);
});

test('work that fails fails its own callers only', async () => {
  const { run, runs } = start();
  const first = run();
  const others = [run(), run()];
  runs[0]?.end.reject(new Error('first'));
  await assert.rejects(first, { message: 'first' });
  await immediate();
  runs[1]?.end.reject(new Error('second'));
  for (const other of others) await assert.rejects(other, { message: 'second' });
});

test('callers wait for work that hangs only for a time', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { run, runs } = start(1000);
  const first = run();
  const second = run();
  context.mock.timers.tick(999);
  assert.equal(runs.length, 1);
  context.mock.timers.tick(1);
  assert.equal(runs.length, 2);

  const third = run();
  runs[0]?.end.resolve('one');
  assert.equal(await first, 'one');
  await immediate();
  assert.equal(runs.length, 2, 'the second one still runs');
  const fourth = run();
  assert.equal(runs.length, 2, 'also for those that come now');
  runs[1]?.end.resolve('two');
  assert.equal(await second, 'two');
  await immediate();
  runs[2]?.end.resolve('three');
  assert.deepEqual(await Promise.all([third, fourth]), ['three', 'three']);
  assert.deepEqual(
    runs.map(({ callers }) => callers),
    [1, 1, 2],
  );
});
