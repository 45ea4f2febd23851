import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallStarts } from './call-starts.ts';
import { CALLS_PER_TURN } from './connection/connection-limits.ts';

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise(setImmediate);
}

test('few calls start at once, many in later turns, and connections take turns', async () => {
  const starts = new CallStarts<string>();
  const order: string[] = [];
  const add = (connection: string): void => starts.add(connection, () => order.push(connection) > 0);

  for (let call = 0; call < 3 * CALLS_PER_TURN; call++) add('a');
  add('b');
  assert.equal(order.length, CALLS_PER_TURN);
  await turns(1);

  assert.equal(order.indexOf('b'), CALLS_PER_TURN + 1);
  assert.equal(order.length, 2 * CALLS_PER_TURN);
  await turns(2);
  assert.equal(order.length, 3 * CALLS_PER_TURN + 1);
  add('c');
  assert.equal(order.at(-1), 'c');
});

test('calls whose client has left start never, and take no place', async () => {
  const starts = new CallStarts<string>();
  let [started, isGone] = [0, false];
  for (let call = 0; call < 1000; call++) {
    starts.add('a', () => {
      if (!isGone) started++;
      return !isGone;
    });
  }
  isGone = true;
  starts.add('a', () => ++started > 0);

  await turns(1);

  assert.equal(started, CALLS_PER_TURN + 1);
});
