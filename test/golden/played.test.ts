import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differences } from './compare.ts';
import { unexpected } from './played.ts';

const found = (actual: object) =>
  differences(
    { code: 'OK', message: 'git: stderr: "fatal: x" (end)', list: [1, 2] },
    { code: 'OK', ...actual },
  );
const because = 'a reason';

test('an exception excuses its own fields only', () => {
  const both = found({ message: 'other', list: [1, 3] });

  assert.deepEqual(unexpected(both, { at: ['message', 'list'], because, isCertain: true }), []);
  assert.deepEqual(unexpected(both, { at: ['list[1]'], because, isCertain: true }), [
    'message: expected "git: stderr: \\"fatal: x\\" (end)", got "other"',
  ]);
  assert.equal(unexpected(both, undefined).length, 2);
});

test('an exception of a field that agrees is reported, unless the version of git is between', () => {
  const message = found({ message: 'other', list: [1, 2] });
  const exception = { at: ['message', 'list[*]'], because };

  assert.deepEqual(unexpected(message, { ...exception, isCertain: true }), [
    'list[*]: agrees with the recording in spite of: a reason',
  ]);
  assert.deepEqual(unexpected(message, { ...exception, isCertain: false }), []);
});

test("with `words` only git's own words may differ", () => {
  const exception = { at: ['message'], words: true, because, isCertain: true };
  const with_ = (message: string) => unexpected(found({ message, list: [1, 2] }), exception).length;

  assert.equal(with_('git: stderr: "error: y" (end)'), 0);
  assert.equal(with_('git: stderr: "error: y" (other)'), 1);
});
