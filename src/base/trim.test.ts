import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { GIT_SPACE, trimmed, trimmedEnd, trimmedStart } from './trim.ts';

test('only the characters at the ends are removed', () => {
  assert.equal(trimmed(' \t a b\n ', GIT_SPACE), 'a b');
  assert.equal(trimmedStart('//a/', '/'), 'a/');
  assert.equal(trimmedEnd('//a//', '/'), '//a');
  assert.equal(trimmed('///', '/'), '');
  assert.equal(trimmed('\va\f', GIT_SPACE), '\va\f');
});

test('long runs in the middle take a linear time', async () => {
  await assertLinearTime((size) => trimmed(`a${' '.repeat(size)}b`, GIT_SPACE));
  await assertLinearTime((size) => trimmed(' '.repeat(size), GIT_SPACE));
});
