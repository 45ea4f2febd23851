import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { parseConsoleRoute, repositoryAddress } from './console-route.ts';

test('an address names a repository, a view and the bytes of a path', () => {
  fc.assert(
    fc.property(fc.uint8Array({ min: 1, minLength: 1, maxLength: 40 }), (path) => {
      const [address = ''] = repositoryAddress('group/ä b?.git', 'files', {
        rest: path,
        query: { ref: 'a&b' },
      }).split('?');

      assert.deepEqual(parseConsoleRoute(address), {
        kind: 'repository',
        path: 'group/ä b?.git',
        view: 'files',
        rest: Buffer.from(path),
      });
    }),
  );
});

test('a query contains only parameters with a value', () => {
  assert.equal(
    repositoryAddress('a.git', 'commits', { query: { ref: 'x/y&z', skip: '' } }),
    '/-/console/repository/a.git/-/commits?ref=x%2Fy%26z',
  );
});

for (const path of [
  '/-/console/other',
  '/-/console/repository/',
  '/-/console/repository/a.git/-/',
  '/-/console/repository/a.git/-/unknown',
  '/-/console/repository/a.git/-/files/a%00b',
  '/-/console/repository/a%2.git',
  '/-/console/repository/a.git/-/files/%zz',
]) {
  test(`there is no page at ${path}`, () => {
    assert.equal(parseConsoleRoute(path), undefined);
  });
}

test('the console itself leads to the overview, and a repository to its files', () => {
  assert.deepEqual(parseConsoleRoute('/-/console'), { kind: 'moved', to: '/-/console/overview' });
  const route = parseConsoleRoute('/-/console/repository/a/b.git');
  assert.deepEqual(route, { kind: 'repository', path: 'a/b.git', view: 'files', rest: Buffer.alloc(0) });
});
