import assert from 'node:assert/strict';
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

test('a queue that is too long refuses', async () => {
  const gate = new SpawnGate();
  const starts = Array.from({ length: 5_004 }, () => gate.turn());

  await assert.rejects(gate.turn(), { code: 'RESOURCE_EXHAUSTED' });
  await Promise.all(starts);
});
