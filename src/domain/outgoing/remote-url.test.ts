import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/time-growth';
import { withoutCredentials, withoutUserInfo } from './remote-url.ts';

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
