import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBool, parseIntProblem } from './strconv.ts';

test('truth values have six spellings each', () => {
  for (const text of ['1', 't', 'T', 'true', 'TRUE', 'True']) assert.equal(parseBool(text), true, text);
  for (const text of ['0', 'f', 'F', 'false', 'FALSE', 'False']) assert.equal(parseBool(text), false, text);
  for (const text of ['', 'tRUE', 'yes', '01', ' 1', 'toString'])
    assert.equal(parseBool(text), undefined, text);
});

test('a number that is not read is quoted', () => {
  assert.equal(
    parseIntProblem('1x\n', 'invalid syntax'),
    'strconv.ParseInt: parsing "1x\\n": invalid syntax',
  );
});
