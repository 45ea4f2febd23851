import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionLimit } from './connection-limit.ts';

test('connections are limited in total and by address', () => {
  const limit = new ConnectionLimit({ maxConnections: 3, maxConnectionsPerAddress: 2 });
  const enter = (...addresses: string[]): boolean[] => addresses.map((address) => limit.enter(address));

  assert.deepEqual(enter('a', 'a', 'a', 'b', 'c'), [true, true, false, true, false]);

  limit.leave('a');
  assert.deepEqual(enter('c', 'a'), [true, false]);
  limit.leave('b');
  assert.deepEqual(enter('a', 'a'), [true, false]);
});

test('without a limit by address only the total counts', () => {
  const limit = new ConnectionLimit({ maxConnections: 2 });

  assert.deepEqual(
    ['a', 'a', 'a'].map((address) => limit.enter(address)),
    [true, true, false],
  );
});
