import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { isError } from './is-error.ts';

test('an error of another realm is an error', () => {
  const foreign: unknown = runInNewContext('new TypeError("x")');

  assert.equal(foreign instanceof Error, false);
  assert.equal(isError(foreign), true);
  assert.equal(isError(new RangeError('x')), true);
});

test('what only looks like an error is none', () => {
  const [lookAlike, inherited] = [{ name: 'Error', message: 'x', stack: '' }, Object.create(Error.prototype)];
  for (const value of [lookAlike, inherited, 'Error', null, undefined]) assert.equal(isError(value), false);
});
