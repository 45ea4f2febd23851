import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { GitalyError, type GitalyErrorOptions, type StatusCode } from '#base/gitaly-error';
import { statusError } from '#rpc/common/status-details';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { StatusSchema } from '#wire/gen/google/rpc/status_pb';
import { methodByPath } from '#wire/methods';
import { CallError } from './call-error.ts';

const ACCESSOR = '/gitaly.CommitService/FindCommit';
const MUTATOR = '/gitaly.OperationService/UserCommitFiles';

function failed(rpc: string, code: StatusCode, options: GitalyErrorOptions = {}): CallError {
  return new CallError(new GitalyError(code, 'sorry', options), {
    rpc,
    address: 'unix:/a',
    operation: methodByPath(rpc)?.operation ?? 'unknown',
  });
}

test('a read-only call may be repeated when the server disconnected, a writing one may not', () => {
  assert.equal(failed(ACCESSOR, 'UNAVAILABLE').retryable, true);
  assert.equal(failed(MUTATOR, 'UNAVAILABLE').retryable, false);
  assert.equal(failed(ACCESSOR, 'INTERNAL').retryable, false);
  assert.equal(failed('/other.Service/Method', 'UNAVAILABLE').retryable, false);
});

test('any call that the server did not begin may be repeated', () => {
  const limit = create(LimitErrorSchema, { retryAfter: { seconds: 1n } });

  assert.equal(failed(MUTATOR, 'UNAVAILABLE', { metadata: { unprocessed: true } }).retryable, true);
  assert.equal(failed(MUTATOR, 'RESOURCE_EXHAUSTED', { details: [limit] }).retryable, true);
});

test('facts that a server attaches are read from the details', () => {
  const pair = (key: string, value: string) => {
    const field = (tag: number, text: string) => [tag, text.length, ...Buffer.from(text)];
    return create(AnySchema, {
      typeUrl: 'type.googleapis.com/testproto.ErrorMetadata',
      value: Uint8Array.from([...field(0x0a, key), ...field(0x12, value)]),
    });
  };
  const broken = create(AnySchema, {
    typeUrl: 'type.googleapis.com/testproto.ErrorMetadata',
    value: Uint8Array.of(0x0a, 9),
  });
  const status = create(StatusSchema, {
    details: [pair('reference', 'refs/heads/a'), broken, pair('stderr', 'no')],
  });
  const { details } = statusError('INTERNAL', '', toBinary(StatusSchema, status));

  assert.deepEqual(failed(ACCESSOR, 'INTERNAL', { details }).errorMetadata, {
    reference: 'refs/heads/a',
    stderr: 'no',
  });
  assert.deepEqual(failed(ACCESSOR, 'INTERNAL').errorMetadata, {});
});
