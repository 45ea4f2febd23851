import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { TargetRing } from './target-ring.ts';

/** Starts a ring whose targets have work as often as `work` counts, and moves its clock. */
function start(context: TestContext, targets: readonly string[], work: Record<string, number> = {}) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const ring = new TargetRing(targets);
  const taken: string[] = [];
  const run = (): Promise<void> =>
    ring.run(async (target) => {
      taken.push(target);
      const left = work[target] ?? 0;
      work[target] = left - 1;
      return left > 0;
    });
  const tick = async (ms: number): Promise<readonly string[]> => {
    context.mock.timers.tick(ms);
    await immediate();
    return taken.splice(0);
  };
  return { ring, run, tick };
}

test('targets with work are taken in turns', async (context) => {
  const { ring, run, tick } = start(context, ['a', 'b'], { a: 2, b: 1 });
  const running = run();

  assert.deepEqual(await tick(0), ['a', 'b', 'a', 'b', 'a']);

  ring.close();
  await running;
});

test('a target without work comes back after one, two, four and then five seconds', async (context) => {
  const { ring, run, tick } = start(context, ['a']);
  const running = run();
  assert.deepEqual(await tick(0), ['a']);

  for (const seconds of [1, 2, 4, 5, 5]) {
    assert.deepEqual(await tick(seconds * 1000 - 1), [], `${seconds}`);
    assert.deepEqual(await tick(1), ['a'], `${seconds}`);
  }

  ring.close();
  await running;
});

test('the delay begins anew after work', async (context) => {
  const work: Record<string, number> = {};
  const { ring, run, tick } = start(context, ['a'], work);
  const running = run();
  await tick(0);
  await tick(1000);
  work.a = 1;
  assert.deepEqual(await tick(2000), ['a', 'a']);

  assert.deepEqual(await tick(999), []);
  assert.deepEqual(await tick(1), ['a']);

  ring.close();
  await running;
});

test('a target that gets work is taken at once, others stay delayed', async (context) => {
  const { ring, run, tick } = start(context, ['a', 'b']);
  const running = run();
  assert.deepEqual(await tick(0), ['a', 'b']);

  ring.wake((target) => target === 'b');
  assert.deepEqual(await tick(0), ['b']);
  ring.wake(() => false);
  assert.deepEqual(await tick(0), []);
  assert.deepEqual(await tick(1000), ['a']);

  ring.close();
  await running;
});

test('several runs share the targets, each of which is with one of them', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const ring = new TargetRing(['a', 'b']);
  const ends: (() => void)[] = [];
  const taken: string[] = [];
  const work = async (target: string): Promise<boolean> => {
    taken.push(target);
    await new Promise<void>((resolve) => ends.push(resolve));
    return true;
  };
  const running = [1, 2, 3].map(() => ring.run(work));
  await immediate();
  assert.deepEqual(taken, ['a', 'b']);
  ends.shift()?.();
  await immediate();
  assert.deepEqual(taken, ['a', 'b', 'a']);

  ring.close();
  for (const end of ends) end();
  await Promise.all(running);
  assert.deepEqual(taken, ['a', 'b', 'a']);
});

test('work that fails ends the run, and gives the target back', async (context) => {
  const { ring, run, tick } = start(context, ['a']);
  await assert.rejects(
    ring.run(async () => {
      throw new Error('failed');
    }),
    { message: 'failed' },
  );
  const running = run();

  assert.deepEqual(await tick(999), []);
  assert.deepEqual(await tick(1), ['a']);

  ring.close();
  await running;
  await run();
  assert.deepEqual(await tick(10_000), []);
});
