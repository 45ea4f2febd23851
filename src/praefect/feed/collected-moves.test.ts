import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CollectedMoves, MAX_MOVES } from './collected-moves.ts';

/** Moves references in turns, each from one number to the next. */
function collect(count: number, references: number): CollectedMoves {
  const moves = new CollectedMoves();
  for (let sequence = 0; sequence < count; sequence++) {
    const value = Math.floor(sequence / references);
    moves.add({
      sequence,
      reference: `refs/heads/${sequence % references}`,
      oldValue: value === 0 ? undefined : `${value}`,
      newValue: `${value + 1}`,
    });
  }
  return moves;
}

test('all moves are listed while they are not many', () => {
  const moves = collect(MAX_MOVES, 2);

  assert.equal(moves.list().length, MAX_MOVES);
  assert.deepEqual(moves.list()[2], { sequence: 2, reference: 'refs/heads/0', oldValue: '1', newValue: '2' });
});

test('of many moves one of each reference is listed, in the order of the last ones', () => {
  const moves = collect(MAX_MOVES, 3);
  moves.add({ sequence: MAX_MOVES, reference: 'refs/heads/1', oldValue: '3333', newValue: undefined });

  assert.deepEqual(moves.list(), [
    { sequence: 9998, reference: 'refs/heads/2', oldValue: undefined, newValue: '3333' },
    { sequence: 9999, reference: 'refs/heads/0', oldValue: undefined, newValue: '3334' },
    { sequence: 10_000, reference: 'refs/heads/1', oldValue: undefined, newValue: undefined },
  ]);
});

test('few moves are kept, however many are added', () => {
  const moves = collect(300_000, 5000);

  assert.equal(moves.count, 300_000);
  assert.ok(moves.kept <= 2 * MAX_MOVES, `${moves.kept}`);
  const first = moves.list()[0];
  assert.deepEqual([first?.oldValue, first?.newValue, moves.list().length], [undefined, '60', 5000]);
});

test('many references are joined seldom', () => {
  const moves = collect(50_000, 25_000);

  // Joined at 20,001 and 40,003 moves.
  assert.equal(moves.kept, 25_000 + 50_000 - 40_003);
  assert.equal(moves.list().length, 25_000);
});
