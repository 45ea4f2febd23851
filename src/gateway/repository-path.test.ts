import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRepositoryPath, parseRepositoryPath } from './repository-path.ts';

const refusal = (path: ReturnType<typeof checkRepositoryPath>): string | undefined =>
  typeof path === 'string' ? undefined : path.refusal;

test('a path may have 1024 bytes with its suffix, and a name 200', () => {
  const names = (bytes: number): string[] => {
    const whole = Array<string>(Math.floor(bytes / 200)).fill('x'.repeat(199));
    return [...whole, 'x'.repeat(bytes - 200 * whole.length)];
  };

  assert.equal(refusal(checkRepositoryPath(names(1020))), undefined);
  assert.equal(refusal(checkRepositoryPath(names(1021))), 'The path is too long.');
  assert.equal(refusal(checkRepositoryPath(['x'.repeat(200)])), undefined);
  const tooLong = 'The path has a name that is too long.';
  assert.equal(refusal(checkRepositoryPath(['x'.repeat(201)])), tooLong);
  assert.equal(refusal(checkRepositoryPath(['ä'.repeat(101)])), tooLong, 'bytes count, not letters');
});

test('a path that is refused has the reason', () => {
  for (const [encoded, expected] of [
    ['a%zz', 'The path is not valid percent-encoded UTF-8.'],
    ['a//b', 'The path has an empty name in it.'],
    ['.git', 'The path has an empty name in it.'],
    ['a/..', 'The path has a name that starts with a dot.'],
    ['+gitaly/a', 'The path has a name that starts with a plus sign.'],
    ['-a', 'The path has a name that starts with a dash.'],
    ['a.lock/b', 'The path has a name that ends in .lock.'],
    ['a%5cb', 'The path has a slash, backslash or control character in a name.'],
    ['a.git/b', 'A repository cannot be inside another one.'],
  ] as const)
    assert.equal(refusal(parseRepositoryPath(encoded)), expected, encoded);
  assert.equal(refusal(checkRepositoryPath(['a\ud800'])), 'The path is not valid Unicode.');
  assert.equal(parseRepositoryPath('group/a%20b'), 'group/a b.git');
  assert.equal(parseRepositoryPath('group/a.git'), 'group/a.git');
});
