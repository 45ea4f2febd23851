import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eachInTurn, inTurns, LoopIteration, LoopSlice, loopTurn, mapInTurns } from './loop-turns.ts';

function burn(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

test('each turn of the event loop resumes one computation', async () => {
  const order: string[] = [];
  const compute = async (name: string): Promise<void> => {
    await loopTurn();
    order.push(name);
  };
  const watch = (turns: number): void => {
    order.push('turn');
    if (turns > 1) setImmediate(watch, turns - 1);
  };
  const all = Promise.all([compute('a'), compute('b'), compute('c')]);
  setImmediate(watch, 3);

  await all;

  assert.deepEqual(order.slice(0, 6), ['a', 'turn', 'b', 'turn', 'c', 'turn'].slice(0, order.length));
});

test('a short list is one piece and an empty list none', async () => {
  assert.deepEqual(await Array.fromAsync(inTurns([1, 2])), [[1, 2]]);
  assert.deepEqual(await Array.fromAsync(inTurns([])), []);
});

test('a long list is split into pieces, with turns for other work between them', async () => {
  const items = Array.from({ length: 2000 }, (_, index) => index);
  const seen: number[] = [];
  let turns = 0;
  const timer = setInterval(() => turns++, 1);

  for await (const piece of inTurns(items)) {
    assert.ok(piece.length <= 256);
    seen.push(...piece);
    burn(6);
  }

  clearInterval(timer);
  assert.deepEqual(seen, items);
  assert.ok(turns >= 5, `${turns} turns`);
});

test('a computation whose caller has left is not resumed', async () => {
  const controller = new AbortController();
  const slice = new LoopSlice();
  burn(6);
  assert.ok(slice.isOver);

  const paused = slice.pause(controller.signal);
  controller.abort(new Error('left'));

  await assert.rejects(paused, /^Error: left$/);
});

type Handle = (items: readonly 0[], handle: (item: 0) => void, signal: AbortSignal) => Promise<unknown>;

for (const [name, handle] of Object.entries<Handle>({ eachInTurn, mapInTurns }))
  test(`${name} handles no further piece of a list whose caller has left`, async () => {
    const controller = new AbortController();
    let handled = 0;
    const leave = (): void => {
      if (++handled !== 256) return;
      controller.abort(new Error('left'));
      burn(6);
    };

    await assert.rejects(handle(Array(2000).fill(0), leave, controller.signal), /^Error: left$/);

    assert.equal(handled, 256);
  });

test('items are counted before the clock is read', () => {
  const slice = new LoopSlice();
  burn(6);
  const counted = Array.from({ length: 128 }, () => slice.isOverAfterItem());

  assert.deepEqual(
    counted.flatMap((isOver, index) => (isOver ? [index + 1] : [])),
    [64, 128],
  );
});

test('work in one iteration of the event loop shares a number and a budget', async () => {
  const iteration = new LoopIteration(2);
  assert.equal(iteration.isOver, false);

  const first = iteration.begin();
  assert.equal(iteration.isOver, false);
  burn(3);
  assert.equal(iteration.begin(), first);
  assert.ok(iteration.isOver);
  await loopTurn();

  assert.equal(iteration.isOver, false);
  assert.notEqual(iteration.begin(), first);
  assert.equal(iteration.isOver, false);
});
