import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postReceiveText } from './post-receive-messages.ts';

const RULE = '='.repeat(72);

function alert(message: string): string[] {
  return [...postReceiveText([{ message, type: 'alert' }])].slice(3, -3);
}

test('postReceiveText writes a basic message as it is between empty lines', () => {
  assert.deepEqual(
    [...postReceiveText([{ message: 'one\n  two', type: 'basic' }])],
    ['\n', 'one\n  two', '\n\n'],
  );
});

test('postReceiveText puts an alert into a banner', () => {
  const pieces = [...postReceiveText([{ message: 'Careful now', type: 'alert' }])];

  assert.deepEqual(pieces, ['\n', RULE, '\n\n', `${' '.repeat(30)}Careful now`, '\n\n', RULE, '\n\n']);
});

test('postReceiveText breaks lines of an alert as recorded from Gitaly', () => {
  assert.deepEqual(alert(`${'x'.repeat(34)} ${'y'.repeat(33)} z`), [
    `${' '.repeat(19)}${'x'.repeat(34)}\n`,
    `${' '.repeat(18)}${'y'.repeat(33)} z`,
  ]);
  assert.deepEqual(alert(`a ${'w'.repeat(96)} b`), [
    `${' '.repeat(35)}a\n`,
    `${'w'.repeat(96)}\n`,
    `${' '.repeat(35)}b`,
  ]);
  assert.deepEqual(alert(`${'w'.repeat(96)} b`), [
    `${' '.repeat(36)}\n`,
    `${'w'.repeat(96)}\n`,
    `${' '.repeat(35)}b`,
  ]);
  assert.deepEqual(alert('one\ntwo\n\nthree\t x  y'), [`${' '.repeat(27)}one two three x y`]);
  assert.deepEqual(alert(''), [' '.repeat(36)]);
});

test('postReceiveText counts bytes, not characters', () => {
  const [first] = alert('grün '.repeat(20));

  assert.equal(first, `   ${'grün '.repeat(11).trim()}\n`);
});

test('postReceiveText refuses an unknown type after the line feed before it', () => {
  const pieces: string[] = [];

  assert.throws(
    () => {
      for (const piece of postReceiveText([{ message: 'x', type: 'odd' }])) pieces.push(piece);
    },
    { message: 'invalid message type: odd' },
  );
  assert.deepEqual(pieces, ['\n']);
});
