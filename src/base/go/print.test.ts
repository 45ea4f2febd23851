import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonValue, print } from './print.ts';

const VALUES = [
  'text',
  null,
  undefined,
  7,
  7n,
  new Error('went wrong'),
  { b: [1, true], a: { z: null } },
  new Map([['k', ['v']]]),
  new Set(['x', 'y']),
  Buffer.from([1, 255]),
  new Date(0),
];

test('values are printed as by %v', () => {
  assert.deepEqual(VALUES.map(print), [
    'text',
    'null',
    'undefined',
    '7',
    '7',
    'went wrong',
    'map[a:map[z:null] b:[1 true]]',
    'map[k:[v]]',
    '[x y]',
    '[1 255]',
    String(new Date(0)),
  ]);
});

test('values are put into JSON as Go’s encoder does it', () => {
  assert.equal(
    JSON.stringify(VALUES.map(jsonValue)),
    JSON.stringify([
      'text',
      null,
      undefined,
      7,
      7,
      'went wrong',
      { a: { z: null }, b: [1, true] },
      { k: ['v'] },
      ['x', 'y'],
      'Af8=',
      new Date(0),
    ]),
  );
});
