import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { SpawnGate } from './spawn-gate.ts';

test('a burst is spread over turns of the event loop, in order', async () => {
  const gate = new SpawnGate();
  const order: string[] = [];
  const starts = Array.from({ length: 10 }, async (_, index) => {
    await gate.turn();
    order.push(String(index));
  });
  setImmediate(() => order.push('turn'));

  await Promise.all(starts);

  assert.deepEqual(
    order.filter((entry) => entry !== 'turn'),
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  );
  assert.ok(order.indexOf('turn') < order.indexOf('9'));
  assert.equal(gate.queueLength, 0);
});

test('who is aborted while waiting does not start', async () => {
  const gate = new SpawnGate();
  const controller = new AbortController();
  const ahead = Array.from({ length: 4 }, () => gate.turn());

  const late = gate.turn(controller.signal);
  controller.abort();

  await assert.rejects(late, { code: 'CANCELLED', message: 'context canceled' });
  await Promise.all(ahead);
});

test('a queue that is too long refuses, and what starts wait is told', async () => {
  const told = { waiting: 0, most: 0, waits: [] as number[], refused: 0 };
  const gate = new SpawnGate(undefined, {
    waiting: (change) => {
      told.waiting += change;
      told.most = Math.max(told.most, told.waiting);
    },
    waited: (seconds) => void told.waits.push(seconds),
    refused: () => told.refused++,
  });
  const controller = new AbortController();
  const starts = Array.from({ length: 6_000 }, () => gate.turn(controller.signal));

  await assert.rejects(Promise.all(starts), { code: 'RESOURCE_EXHAUSTED' });
  controller.abort();
  const ends = await Promise.allSettled(starts);
  assert.equal(gate.queueLength, 0);
  const { most, refused, waiting, waits } = told;
  const refusals = ends.filter((end) => end.status === 'rejected' && end.reason.code !== 'CANCELLED');
  assert.deepEqual([most, waiting, refused], [6_000, 0, refusals.length]);
  assert.ok(refused > 0);
  assert.equal(waits.length, ends.filter(({ status }) => status === 'fulfilled').length);
  assert.ok(waits.every((seconds) => seconds >= 0 && seconds < 60));
});

test('owners take turns, and one whose process has ended makes way for the next', async () => {
  let owner = {};
  const gate = new SpawnGate({ owner: () => owner, admit: async () => {} });
  const order: string[] = [];
  const start = async (name: string): Promise<void> => {
    await gate.turn();
    order.push(name);
    gate.started({ exited: Promise.resolve() });
  };

  const first = Array.from({ length: 200 }, () => start('a'));
  owner = {};
  await start('b');
  const before = order.length;
  await Promise.all(first);

  assert.ok(before < 100, `${before} came before`);
  assert.equal(order.length, 201);
});

test('a start makes way when its process has ended, before its time', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const gate = new SpawnGate();
  const atOnce = 4 * availableParallelism();
  for (let start = 0; start < atOnce; start++) await gate.turn();
  const late = gate.turn();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(gate.queueLength, 1);

  gate.started({ exited: Promise.resolve() });

  await late;
  // Without an end, time makes way; who has no turn ends none.
  const last = gate.turn();
  context.mock.timers.tick(25);
  await last;
  context.mock.timers.tick(25);
  gate.started({ exited: Promise.resolve() });
});

test('who may not run a process gets no turn', async () => {
  const refusal = new Error('no');
  const gate = new SpawnGate({ owner: () => undefined, admit: () => Promise.reject(refusal) });

  await assert.rejects(gate.turn(), refusal);
});
