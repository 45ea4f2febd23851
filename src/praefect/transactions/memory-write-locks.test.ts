import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { movedClock } from '#testkit/praefect/moved-clock';
import { MAX_HOLD_MS, MAX_WAIT_MS, MAX_WAITING, MemoryWriteLocks } from './memory-write-locks.ts';

const repository = { virtualStorage: 'default', relativePath: 'x.git' };
const { signal } = new AbortController();

/** Takes locks in turn, and records the numbers of those that are held. */
function lockMany(count: number) {
  const locks = new MemoryWriteLocks();
  const held: number[] = [];
  const all = Array.from({ length: count }, async (_, number) => {
    const lock = await locks.lock(repository, BigInt(number), signal);
    held.push(number);
    return lock;
  });
  return { all, held };
}

// Born failing: ABORTED and `packed-refs locked` for writes of a long queue. All that had waited
// ten seconds went on at once, although the queue moved.
test('a write that holds its turn for long passes it to the next one, and only to that', async (context) => {
  const move = movedClock(context);
  const { all, held } = lockMany(4);
  await immediate();
  assert.deepEqual(held, [0]);

  await move(MAX_HOLD_MS - 1);
  assert.deepEqual(held, [0]);
  await move(1);
  assert.deepEqual(held, [0, 1]);

  await (await all[0])?.release();
  await immediate();
  assert.deepEqual(held, [0, 1], 'its turn has been passed on');
  await (await all[1])?.release();
  await immediate();
  assert.deepEqual(held, [0, 1, 2]);
  await move(MAX_HOLD_MS);
  assert.deepEqual(held, [0, 1, 2, 3]);
});

test('a write goes on without its turn when the time of its wait is over', async (context) => {
  const move = movedClock(context);
  const { held } = lockMany(20);

  for (let waitedMs = 0; waitedMs < MAX_WAIT_MS; waitedMs += MAX_HOLD_MS) await move(MAX_HOLD_MS);

  assert.equal(held.length, 20);
});

test('writes of different references are held at once, for ten seconds each', async (context) => {
  const move = movedClock(context);
  const locks = new MemoryWriteLocks();
  const held: string[] = [];
  const lock = async (name: string, references?: readonly string[]) => {
    const taken = await locks.lock(repository, 1n, signal, references);
    held.push(name);
    return taken;
  };
  const a = await lock('a', ['refs/a']);
  await move(MAX_HOLD_MS - 1);
  await lock('b', ['refs/b']);
  void lock('all');
  void lock('c', ['refs/c']);
  await move(1);
  assert.deepEqual(held, ['a', 'b']);
  await a.release();
  await move(MAX_HOLD_MS - 1);
  assert.deepEqual(held, ['a', 'b', 'all']);
  await move(MAX_HOLD_MS);
  assert.deepEqual(held, ['a', 'b', 'all', 'c']);
});

test('a write that widens waits for others, and then holds all for ten seconds', async (context) => {
  const move = movedClock(context);
  const locks = new MemoryWriteLocks();
  const [a, b] = await Promise.all(
    ['refs/a', 'refs/b'].map((name) => locks.lock(repository, 1n, signal, [name])),
  );
  let isWidened = false;
  const widening = a?.widen?.(signal).then(() => {
    isWidened = true;
  });
  await move(MAX_HOLD_MS - 1);
  assert.equal(isWidened, false);
  await b?.release();
  await widening;

  let isNext = false;
  void locks.lock(repository, 2n, signal, ['refs/c']).then(() => {
    isNext = true;
  });
  await move(MAX_HOLD_MS - 1);
  assert.equal(isNext, false);
  await move(1);
  assert.equal(isNext, true);
});

test('more writes than may wait are refused, and those of other references are not', async () => {
  const locks = new MemoryWriteLocks();
  const aborting = new AbortController();
  const lock = (name: string) => locks.lock(repository, 1n, aborting.signal, [name]);
  const held = await lock('refs/a');
  const waiting = Array.from({ length: MAX_WAITING }, () => lock('refs/a'));
  const ended = Promise.allSettled(waiting);

  await assert.rejects(lock('refs/a'), { name: 'LimitRefusal', reason: 'max_size' });
  await (await lock('refs/b')).release();

  aborting.abort();
  await ended;
  await held.release();
});
