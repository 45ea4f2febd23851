import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEPT_MOVES, type ReportedMove, stepsOf } from './node-events.ts';

/** Moves as a node reports them, from texts `reference: old > new`; `-`: it was not there. */
function reported(...texts: readonly string[]): ReportedMove[] {
  return texts.map((text, index) => {
    const [reference = '', oldValue, newValue] = text.split(/: | > /).map((word) => word.trim());
    const given = (word: string | undefined) => (word === '-' ? undefined : word);
    return { reference, oldValue: given(oldValue), newValue: given(newValue), sequence: index + 1 };
  });
}

const numbers = (steps: readonly (readonly ReportedMove[] | undefined)[]) =>
  steps.map((each) => each?.map(({ sequence }) => sequence));

test('a move is replaced by the fewest reported moves between its values', () => {
  const moves = reported('a: - > 1', 'b: 1 > 2', 'a: 1 > 2', 'a: 2 > 1', 'a: 1 > 3', 'b: 2 > -', 'a: 3 > 2');

  assert.deepEqual(
    numbers(
      stepsOf(moves, [
        { reference: 'a', oldValue: undefined, newValue: '3' },
        { reference: 'a', oldValue: '2', newValue: '3' },
        { reference: 'a', oldValue: '1', newValue: '3' },
        { reference: 'b', oldValue: '1', newValue: undefined },
        { reference: 'a', oldValue: '3', newValue: '2' },
      ]),
    ),
    [[1, 3, 4, 5], [4, 5], [5], [2, 6], [7]],
  );
});

test('moves that are missing, or that lead elsewhere, are not guessed', () => {
  const moves = reported('a: 1 > 2', 'a: 3 > 4');

  assert.deepEqual(
    stepsOf(moves, [
      { reference: 'a', oldValue: '1', newValue: '4' },
      { reference: 'a', oldValue: '1', newValue: '9' },
      { reference: 'b', oldValue: '1', newValue: '2' },
    ]),
    [undefined, undefined, undefined],
  );
});

// Symptom: a push of ten thousand references blocked praefect: each was compared with all moves.
test('many moves are looked up in the time of their number', () => {
  const moves = reported(...Array.from({ length: 2 * KEPT_MOVES }, (_, index) => `${index}: 1 > 2`));
  const wanted = Array.from({ length: 10_000 }, (_, index) => ({
    reference: String(index),
    oldValue: '1',
    newValue: '2',
  }));
  let readings = 0;
  const counted = moves.map(({ reference, ...move }) => ({
    ...move,
    get reference() {
      readings++;
      return reference;
    },
  }));

  const found = stepsOf(counted, wanted);

  assert.equal(found.filter((each) => each !== undefined).length, 2 * KEPT_MOVES);
  assert.ok(readings < 10 * moves.length, `${readings} readings`);
});
