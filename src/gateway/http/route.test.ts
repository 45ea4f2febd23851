import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRoute } from './route.ts';

test('the three requests of git are routed', () => {
  assert.deepEqual(parseRoute('GET', '/group/hello.git/info/refs?service=git-upload-pack'), {
    kind: 'info-refs',
    service: 'git-upload-pack',
    path: 'group/hello.git',
  });
  assert.deepEqual(parseRoute('POST', '/hello.git/git-upload-pack'), {
    kind: 'service',
    service: 'git-upload-pack',
    path: 'hello.git',
  });
  assert.deepEqual(parseRoute('POST', '/hello.git/git-receive-pack'), {
    kind: 'service',
    service: 'git-receive-pack',
    path: 'hello.git',
  });
});

test('the suffix .git is optional', () => {
  const route = parseRoute('GET', '/hello/info/refs?service=git-receive-pack');

  assert.equal(route.kind === 'info-refs' && route.path, 'hello.git');
});

test('escaped names are decoded once', () => {
  const route = parseRoute('POST', '/gr%C3%BCn/a%20b%2525.git/git-upload-pack');

  assert.equal(route.kind === 'service' && route.path, 'grün/a b%25.git');
});

const TRICKS = [
  '/../etc.git',
  '/a/../b.git',
  '/a/%2e%2e/b.git',
  '/%2E%2e/b.git',
  '/./a.git',
  '/a/%2e/b.git',
  '/a%00.git',
  '/a%0a.git',
  '/a%5cb.git',
  '/a\\b.git',
  '/a%2fb.git',
  '/%2fetc/a.git',
  '//etc/a.git',
  '/a//b.git',
  '',
  '/.git',
  '/a/.git',
  '/a.git/b.git',
  '/+gitaly/a.git',
  '/-upload.git',
  '/.hidden/a.git',
  '/a.lock/b.git',
  '/%zz.git',
  '/%ff.git',
  `/${'a'.repeat(300)}.git`,
  `/${'a/'.repeat(600)}b.git`,
];

for (const trick of TRICKS) {
  test(`the path ${JSON.stringify(trick.slice(0, 40))} is refused`, () => {
    const route = parseRoute('GET', `${trick}/info/refs?service=git-upload-pack`);

    assert.equal(route.kind, 'answer');
    assert.equal(route.kind === 'answer' && [400, 404].includes(route.answer.status), true);
  });
}

const ANSWERS: readonly (readonly [string, string, number, RegExp])[] = [
  ['GET', '/a.git/info/refs', 403, /only the smart HTTP protocol/],
  ['GET', '/a.git/HEAD', 403, /only the smart HTTP protocol/],
  ['GET', '/a.git/objects/info/packs', 403, /only the smart HTTP protocol/],
  ['GET', '/a.git/info/refs?service=git-evil', 403, /is not supported/],
  // git archive --remote: one that asks first, and one that does not (since 2.44).
  ['GET', '/a.git/info/refs?service=git-upload-archive', 403, /^Archives are served over SSH/],
  ['POST', '/a.git/git-upload-archive', 403, /^Archives are served over SSH/],
  ['POST', '/a.git/info/refs?service=git-upload-pack', 405, /supports only GET/],
  ['GET', '/a.git/git-upload-pack', 405, /supports only POST/],
  ['POST', '/a.git', 404, /git clone/],
  ['GET', '/a/../b', 404, /git clone/],
  ['GET', 'http://evil/a.git', 400, /begin with a slash/],
  ['OPTIONS', '*', 400, /begin with a slash/],
  ['GET', `/${'a'.repeat(9000)}`, 414, /longer than/],
];

for (const [method, target, status, text] of ANSWERS) {
  test(`${method} ${target.slice(0, 40)} is answered with ${status}`, () => {
    const route = parseRoute(method, target);

    assert.equal(route.kind === 'answer' && route.answer.status, status);
    assert.match(route.kind === 'answer' ? route.answer.text : '', text);
  });
}

test('a wrong method is answered with the right one', () => {
  const route = parseRoute('PUT', '/a.git/git-receive-pack');

  assert.deepEqual(route.kind === 'answer' && route.answer.headers, { Allow: 'POST' });
});

for (const [path, fields] of [
  ['/', { isTop: true }],
  ['/-/console', {}],
  ['/-/console/a?b', {}],
  ['/team/a.git', { repository: 'team/a.git' }],
  ['/team/a', { repository: 'team/a.git' }],
] as const) {
  test(`${path} is a page`, () => {
    assert.deepEqual(parseRoute('GET', path), { kind: 'page', ...fields });
  });
}

test('addresses of git-lfs are split at the part that it adds', () => {
  const oid = 'ab'.repeat(32);
  for (const [path, repository, rest] of [
    ['/a.git/info/lfs/objects/batch', 'a.git', 'objects/batch'],
    [`/team/a/info/lfs/objects/${oid}`, 'team/a', `objects/${oid}`],
    ['/a.git/info/lfs', 'a.git', ''],
  ] as const)
    assert.deepEqual(parseRoute('POST', path), { kind: 'lfs', repository, rest, query: '' });
  assert.notEqual(parseRoute('GET', '/a.git/info/lfsx/y').kind, 'lfs');
});
