import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { BulkTurns } from './bulk-turns.ts';

const KIB = 1024;

test('a turn of the event loop has a mebibyte, and later turns the rest in order', async () => {
  const turns = new BulkTurns();
  const handled: number[] = [];
  const handle = async (piece: number): Promise<void> => {
    await turns.next(256 * KIB);
    handled.push(piece);
  };

  const all = Promise.all(Array.from({ length: 10 }, (_, piece) => handle(piece)));

  const counts: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    await nextTurn();
    counts.push(handled.length);
  }
  await all;
  assert.deepEqual(counts, [8, 10, 10]);
  assert.deepEqual(handled, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a piece that comes later waits behind those that wait', async () => {
  const turns = new BulkTurns();
  const handled: string[] = [];
  const handle = async (piece: string): Promise<void> => {
    await turns.next(1024 * KIB);
    handled.push(piece);
  };
  const first = [handle('a'), handle('b'), handle('c')];
  await nextTurn();

  await Promise.all([...first, handle('d')]);

  assert.deepEqual(handled, ['a', 'b', 'c', 'd']);
});

test('small pieces never wait, and a turn of its own is there again after a pause', async () => {
  const turns = new BulkTurns();
  turns.next(8192 * KIB);

  assert.notEqual(turns.next(64 * KIB), undefined);
  assert.equal(turns.next(64 * KIB - 1), undefined);
  await nextTurn();
  await nextTurn();
  assert.equal(turns.next(256 * KIB), undefined);
});
