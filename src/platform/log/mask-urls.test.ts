import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { maskUrlCredentials } from './mask-urls.ts';

test('users and passwords of URLs are masked', () => {
  for (const [text, expected] of [
    ['fetch https://user:pass@host/x', 'fetch https://[FILTERED]@host/x'],
    ['git@host:x and ssh://a%20b@[::1]/', '[FILTERED]@host:x and ssh://[FILTERED]@[::1]/'],
    ['http://a@b@c', 'http://[FILTERED]@[FILTERED]@c'],
    ['http://a@/b @ c@', 'http://a@/b @ c@'],
    ['no address', 'no address'],
  ] as const)
    assert.equal(maskUrlCredentials(text), expected);
});

// A text of 64 KiB took three seconds.
test('hostile texts take a linear time', async () => {
  for (const piece of ['a', 'a@', '@', 'a://', 'a:', ' '])
    await assertLinearTime((size) => maskUrlCredentials(`@${piece.repeat(size / piece.length)}`));
});
