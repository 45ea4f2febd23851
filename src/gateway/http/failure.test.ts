import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { failureAnswer } from './failure.ts';

const CALL = { rpc: '/gitaly.SmartHTTPService/InfoRefs', address: 'unix:x', operation: 'accessor' } as const;

/** A refusal of a limit that names the time to wait. */
function limited(seconds: bigint, nanos: number): CallError {
  const detail = create(LimitErrorSchema, { errorMessage: 'busy', retryAfter: { seconds, nanos } });
  return new CallError(new GitalyError('RESOURCE_EXHAUSTED', 'busy', { details: [detail] }), CALL);
}

test('a limit becomes 503 with the time to wait in whole seconds, at least one', () => {
  for (const [seconds, nanos, expected] of [
    [0n, 0, '1'],
    [0n, 500_000_000, '1'],
    [2n, 0, '2'],
    [2n, 1_000_000, '3'],
    [15n, 0, '15'],
  ] as const) {
    const { headers, status, text } = failureAnswer(limited(seconds, nanos));

    assert.deepEqual([status, headers], [503, { 'Retry-After': expected }]);
    assert.match(text, /overloaded/);
  }
});

test('a failed call becomes the status of its code, and hides internal failures', () => {
  const expected: readonly [StatusCode, number, RegExp][] = [
    ['NOT_FOUND', 404, /There is no such repository/],
    ['INVALID_ARGUMENT', 400, /does not accept this request/],
    ['PERMISSION_DENIED', 403, /not allowed/],
    ['UNAVAILABLE', 503, /not available at this time/],
    ['RESOURCE_EXHAUSTED', 503, /overloaded/],
    ['DEADLINE_EXCEEDED', 504, /took too long/],
    ['UNIMPLEMENTED', 501, /does not support this/],
    ['INTERNAL', 500, /^The Git server failed\. See its log for the reason\.$/],
  ];
  for (const [code, status, text] of expected) {
    const answer = failureAnswer(new GitalyError(code, 'a secret path'));
    assert.equal(answer.status, status, code);
    assert.match(answer.text, text);
    assert.deepEqual(answer.headers, status === 503 ? { 'Retry-After': '1' } : undefined);
  }
  assert.equal(failureAnswer(new TypeError('a bug')).status, 500);
});

test('a repository that the server may not read is no wrong request', () => {
  // Gitaly's message for EACCES: the error of `os.Stat`, wrapped by ValidateRepository.
  const message = 'validate git directory: stat: stat /data/a.git/objects: permission denied';

  const answer = failureAnswer(new CallError(new GitalyError('INVALID_ARGUMENT', message), CALL));

  assert.equal(answer.status, 500);
  assert.match(answer.text, /may not read this repository.* owner of the files/);
  assert.doesNotMatch(answer.text, /data/);
});
