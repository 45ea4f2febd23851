// Own process: it measures memory

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alsoRelease, IdleMemory, processorShare, releaseUnless } from './idle-memory.ts';

/** An idle process on a machine that is not busy. */
const QUIET = { busyShare: () => 0, hostLoad: () => 0 };

/** Returns a memory whose process is idle and has 100 MB, and the number of collections. */
function memoryOf(process: { busy: number; resident: number; now: number; hostLoad?: number }) {
  let collections = 0;
  const memory = new IdleMemory({
    busyShare: () => process.busy,
    resident: () => process.resident,
    now: () => process.now,
    hostLoad: () => process.hostLoad ?? 0,
    collect: () => {
      collections++;
    },
  });
  return { memory, collections: () => collections };
}

test('memory is returned once after the start, and not while calls run', () => {
  const process = { busy: 0.1, resident: 100e6, now: 0 };
  const { collections, memory } = memoryOf(process);

  memory.check();
  assert.equal(collections(), 0);

  process.busy = 0;
  memory.check();
  process.now += 60_000;
  memory.check();
  assert.equal(collections(), 1);
});

// A restore waited for git, and the collection blocked the server for 1.1 s.
test('memory is returned after the work for which the process waits', () => {
  const { collections, memory } = memoryOf({ busy: 0, resident: 100e6, now: 0 });
  let isWorking = false;
  using _none = releaseUnless(() => false);
  using _work = releaseUnless(() => isWorking);

  isWorking = true;
  memory.check();
  memory.check();
  assert.equal(collections(), 0);

  isWorking = false;
  memory.check();
  assert.equal(collections(), 1);
});

// With 30 to 40 tasks on two processors, returning memory blocked the server for up to 2.3 s.
test('memory is returned when the machine is no longer busy', () => {
  const process = { busy: 0, resident: 100e6, now: 0, hostLoad: 15 };
  const { collections, memory } = memoryOf(process);

  memory.check();
  assert.equal(collections(), 0);

  process.hostLoad = 1;
  memory.check();
  assert.equal(collections(), 1);
});

test('a check of a server that has ended no longer counts', () => {
  const { collections, memory } = memoryOf({ busy: 0, resident: 100e6, now: 0 });

  releaseUnless(() => true)[Symbol.dispose]();
  memory.check();

  assert.equal(collections(), 1);
});

test('health checks and timers of an idle process do not count as load', () => {
  const { collections, memory } = memoryOf({ busy: 0.015, resident: 100e6, now: 0 });

  memory.check();

  assert.equal(collections(), 1);
});

test('a process that waits for a processor is idle', () => {
  let [usedUs, nowMs] = [300_000, 1000];
  const share = processorShare(
    () => usedUs,
    () => nowMs,
  );

  usedUs += 4000;
  nowMs += 2000;
  assert.equal(share(), 0.002);
  usedUs += 1_000_000;
  nowMs += 2000;
  assert.equal(share(), 0.5);
  assert.ok(processorShare()() >= 0, 'of this process');
});

test('memory is returned again after a load that made the process grow', () => {
  const process = { busy: 0, resident: 100e6, now: 0 };
  const { collections, memory } = memoryOf(process);
  memory.check();

  process.now += 60_000;
  process.resident += 50e6;
  memory.check();

  assert.equal(collections(), 2);
});

test('a process with a call now and then is not interrupted, until there is none for 30 seconds', () => {
  const process = { busy: 0, resident: 100e6, now: 0 };
  const { collections, memory } = memoryOf(process);
  memory.check();

  for (process.now = 20_000; process.now <= 122_000; process.now += 2000) {
    process.busy = process.now % 20_000 === 0 ? 0.5 : 0;
    process.resident += 10e6;
    memory.check();
  }
  process.now = 148_000;
  memory.check();
  assert.equal(collections(), 1);

  process.now = 150_000;
  memory.check();
  assert.equal(collections(), 2);
});

test('a process that grows again and again is interrupted every 30 seconds at most', () => {
  const process = { busy: 0, resident: 100e6, now: 0 };
  const { collections, memory } = memoryOf(process);

  for (; process.now <= 60_000; process.now += 2000) {
    process.resident += 50e6;
    memory.check();
  }

  assert.equal(collections(), 3);
});

test('what was registered is released after a collection', () => {
  const done: string[] = [];
  const memory = new IdleMemory({ ...QUIET, collect: () => done.push('collect') });
  alsoRelease(() => done.push('release'));

  memory.check();

  alsoRelease(() => {});
  assert.deepEqual(done, ['collect', 'release']);
});

test('an idle process gets smaller', () => {
  let garbage: object[] | undefined = Array.from({ length: 500_000 }, (_, index) => ({ index }));
  const before = process.memoryUsage().heapUsed;
  garbage = garbage.length > 0 ? undefined : garbage;

  new IdleMemory(QUIET).check();

  assert.ok(process.memoryUsage().heapUsed < before - 5e6);
});

test('without a descriptor to read its memory a process goes on', (context) => {
  context.mock.method(process.memoryUsage, 'rss', () => {
    throw Object.assign(new Error('EMFILE: too many open files, uv_resident_set_memory'), { code: 'EMFILE' });
  });
  let collections = 0;

  new IdleMemory({ ...QUIET, collect: () => collections++ }).check();

  assert.equal(collections, 0);
});
