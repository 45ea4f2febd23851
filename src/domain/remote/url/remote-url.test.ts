import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { parseRemoteUrl, withoutCredentials, withoutUserInfo } from './remote-url.ts';

test('error output of git keeps its URLs without users and passwords', () => {
  const stderr = [
    "fatal: unable to access 'https://jane:hush@example.com/r.git/': Could not resolve host",
    'fatal: ssh://git@example.com:22/r.git and HTTP://u@x/y "git://z:1@h"',
    'error: jane@example.com:r.git',
  ].join('\n');

  assert.equal(
    withoutCredentials(stderr),
    [
      "fatal: unable to access 'https://example.com/r.git/': Could not resolve host",
      'fatal: ssh://example.com:22/r.git and HTTP://x/y "git://h"',
      'error: jane@example.com:r.git',
    ].join('\n'),
  );
});

test('hostile texts take a linear time', async () => {
  for (const piece of ['a', 'a://', 'a://@', '@', '#', ' '])
    await assertLinearTime((size) => {
      withoutCredentials(piece.repeat(size / piece.length));
      withoutUserInfo(`http://${piece.repeat(size / piece.length)}`);
    });
});

test('a transport before the URL is refused, or left to git without credentials', () => {
  for (const url of ['http::http://user:secret@host/x', 'HTTPS::x', 'file::/etc', 'ssh::x', 'git::x'])
    assert.throws(() => parseRemoteUrl(url), {
      code: 'INVALID_ARGUMENT',
      message: /^transport '\w+::' not allowed/,
    });
  for (const url of ['ext::sh -c id', 'fd::7', 'foo::http://user:secret@host/x'])
    assert.equal(parseRemoteUrl(url).url, url.replace('user:secret@', ''));
});

test('a password is taken out of every URL', () => {
  assert.deepEqual(parseRemoteUrl('ssh://git:secret@host:22/x'), {
    url: 'ssh://git@host:22/x',
    userInfo: undefined,
  });
  assert.equal(parseRemoteUrl('git://user:secret@host/x').url, 'git://user@host/x');
  assert.deepEqual(parseRemoteUrl('http://user:secret@host/x'), {
    url: 'http://host/x',
    userInfo: { username: 'user', password: 'secret' },
  });
});
