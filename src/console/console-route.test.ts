import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { isFileAddress, parseConsoleRoute, repositoryAddress } from './console-route.ts';

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

test('an address leads to a page of the server, or to a file of the console', () => {
  assert.deepEqual(parseConsoleRoute('/-/console/overview'), { kind: 'page', name: 'overview' });
  assert.deepEqual(parseConsoleRoute('/-/console/assets/a.css'), { kind: 'asset', name: 'a.css' });
  assert.equal(parseConsoleRoute('/-/console/x/-/console/assets/'), undefined);
});

test('files and archives may be big, pages are not', () => {
  const view = (name: string): string => `/-/console/repository/a.git/-/${name}`;
  for (const address of [
    view('raw/a?ref=main'),
    view('archive'),
    view('archive?ref=main'),
    view('archive/a.zip?x=/-/files'),
  ])
    assert.equal(isFileAddress(address), true, address);
  for (const address of [view('files/a'), view('commits?x=/-/raw/a'), '/-/console/overview', '/a.git', ''])
    assert.equal(isFileAddress(address), false, address);
});
