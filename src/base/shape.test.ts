import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as shapes from './shape.ts';

const { bytes, either, flag, list, maybe, nothing, number, object, oneOf, optional, pair, record, text } =
  shapes;

const CASES: readonly (readonly [
  name: string,
  shape: shapes.Shape<unknown>,
  good: readonly unknown[],
  bad: readonly unknown[],
])[] = [
  ['a text', text, ['', 'a'], [undefined, null, 1, ['a'], new String('a')]],
  ['a number', number, [0, -1.5], [1n, '1', undefined]],
  ['a safe integer', shapes.integer, [0, -1], [0.5, 2 ** 53, Number.NaN, '1']],
  ['a value with a condition', shapes.where(text, (value) => value !== ''), ['a'], ['', 1]],
  ['a flag', flag, [true, false], [0, 'true', undefined]],
  ['bytes', bytes, [Buffer.from('a'), new Uint8Array()], ['a', [1], new ArrayBuffer(1)]],
  ['nothing', nothing, [undefined], [null, false, '']],
  ['one of some values', oneOf<string | number>('a', 1), ['a', 1], ['b', '1', undefined]],
  ['one of two shapes', either(text, number), ['a', 1], [true, undefined]],
  ['a value or nothing', maybe(text), ['a', undefined], [null, 1]],
  ['a list', list(number), [[], [1, 2]], [[1, '2'], [undefined], { 0: 1, length: 1 }, 'a']],
  ['a pair', pair(text, number), [['a', 1]], [['a'], ['a', 1, 2], [1, 'a'], undefined]],
  ['a record', record(number), [{}, { a: 1 }], [{ a: '1' }, [1], null]],
  [
    'one of some objects',
    shapes.tagged({ a: object({ id: number }), b: object({}) }),
    [{ kind: 'a', id: 1 }, { kind: 'b' }],
    [{ kind: 'a' }, { kind: 'a', id: '1' }, { kind: 'c', id: 1 }, {}, ['a'], null, 'a'],
  ],
  [
    'an object',
    object({ name: text, inner: maybe(object({ a: number })), rest: optional(flag) }),
    [
      { name: 'a' },
      { name: 'a', inner: { a: 1 }, rest: true, more: 1 },
      { name: 'a', inner: undefined, rest: false },
    ],
    [{}, { name: 1 }, { name: 'a', inner: {} }, { name: 'a', rest: undefined }, ['a'], null, undefined, 'a'],
  ],
];

for (const [name, shape, good, bad] of CASES)
  test(`the shape of ${name} has its values and no others`, () => {
    assert.deepEqual(
      good.map(shape),
      good.map(() => true),
    );
    assert.deepEqual(
      bad.map(shape),
      bad.map(() => false),
    );
  });

test('the fields of an object that are inherited are not fields of its shape', () => {
  assert.equal(object({ constructor: optional(text) })({}), true);
});

test('a JSON text is parsed as a shape, or not at all', () => {
  const shape = list(number);

  assert.deepEqual(shapes.parseAs(shape, '[1, 2]'), [1, 2]);
  for (const json of ['["1"]', '[1', '']) assert.equal(shapes.parseAs(shape, json), undefined);
});
