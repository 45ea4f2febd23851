import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GitalyError } from '#base/gitaly-error';
import { failureText, framed } from './failure-text.ts';

// Gitaly: internal/gitaly/service/ssh, and the console's button that ends calls.
for (const [message, expected] of [
  ['user canceled the request', undefined],
  ['user canceled the push', undefined],
  ['cancelled by an operator', framed('cancelled by an operator')],
] as const)
  test(`a cancelled command prints ${expected === undefined ? 'nothing' : 'the reason'}: ${message}`, () => {
    assert.equal(failureText(new GitalyError('CANCELLED', message)), expected);
  });
