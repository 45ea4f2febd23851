import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fieldsOf, mapFields } from './fields-of.ts';

test('the fields of a table are listed in their order, and mapped under their names', () => {
  const table = { b: 1, a: 2 };

  assert.deepEqual(fieldsOf(table), [
    ['b', 1],
    ['a', 2],
  ]);
  assert.deepEqual(
    mapFields(table, (value, name) => `${name}${value}`),
    { b: 'b1', a: 'a2' },
  );
});
