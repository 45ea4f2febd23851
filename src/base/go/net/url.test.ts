import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { badEscape, parseUrl, urlProblem } from './url.ts';

for (const [url, problem] of [
  ['http://127.0.0.1:8080/gitlab', undefined],
  ['http+unix://%2Fhome%2Fgit%2Fworkhorse.socket', undefined],
  ['s3://bucket?region=eu', undefined],
  ['relative/path', undefined],
  ['ht!tp://%zz', 'parse "ht!tp://%zz": first path segment in URL cannot contain colon'],
  ['http://host/%zz', 'parse "http://host/%zz": invalid URL escape "%zz"'],
  ['http://host:port/', 'parse "http://host:port/": invalid port ":port" after host'],
  ['://host', 'parse "://host": missing protocol scheme'],
  ['http://a\nb', 'parse "http://a\\nb": net/url: invalid control character in URL'],
] as const) {
  test(`the URL ${JSON.stringify(url)} is ${problem === undefined ? 'fine' : 'refused'}`, () => {
    assert.equal(urlProblem(url), problem);
  });
}

test('the first broken escape is found', () => {
  assert.equal(badEscape('%41%4'), '%4');
  assert.equal(badEscape('%zzz'), '%zz');
  assert.equal(badEscape('%41'), undefined);
});

for (const [text, parts] of [
  ['tcp://host:80/a?b#c', { scheme: 'tcp', host: 'host:80', path: '/a', opaque: '' }],
  ['TLS://user@host', { scheme: 'tls', host: 'host', path: '', opaque: '' }],
  ['tcp://user:a@b@host:80/', { scheme: 'tcp', host: 'host:80', path: '/', opaque: '' }],
  ['unix:/run/a.sock', { scheme: 'unix', host: '', path: '/run/a.sock', opaque: '' }],
  ['unix:a.sock', { scheme: 'unix', host: '', path: '', opaque: 'a.sock' }],
  ['dns:///name:1', { scheme: 'dns', host: '', path: '/name:1', opaque: '' }],
  ['no-scheme', undefined],
  ['tcp://a\nb', undefined],
] as const) {
  test(`the URL ${JSON.stringify(text)} is split`, () => {
    assert.deepEqual(parseUrl(text), parts);
  });
}

// 64 KiB of `#` and a line separator took two seconds.
test('hostile texts take a linear time', async () => {
  for (const piece of ['#', '?', ':', '%', '@', '//'])
    for (const start of ['', 'http://', 'http:', '/'])
      await assertLinearTime((size) => urlProblem(`${start}${piece.repeat(size / piece.length)}\u2028`));
});
