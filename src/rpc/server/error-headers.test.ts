import assert from 'node:assert/strict';
import type { OutgoingHttpHeaders } from 'node:http2';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { type ErrorDetail, GitalyError } from '#base/gitaly-error';
import { readStatus } from '#rpc/common/grpc/grpc-headers';
import { Metadata } from '#rpc/common/metadata';
import { unpackDetails } from '#rpc/common/typed-details';
import { CustomHookErrorSchema, LimitErrorSchema } from '#wire/gen/errors_pb';
import { type UserCommitFilesError, UserCommitFilesErrorSchema } from '#wire/gen/operations_pb';
import { errorHeaders } from './error-headers.ts';

const MISSING = new GitalyError('INTERNAL', 'missing');

/** Returns the headers as the other side receives them. */
function received(headers: OutgoingHttpHeaders): Metadata {
  return Metadata.fromWire(Object.entries(headers).flatMap(([key, value]) => [key, String(value)]));
}

/** Returns the received details for the details that were sent. */
function arrived(details: ErrorDetail[]): readonly ErrorDetail[] | undefined {
  return readStatus(
    received(errorHeaders(new GitalyError('INTERNAL', 'x', { details }), 65_535)),
    () => MISSING,
  )?.details;
}

test('an error is received as it was sent', () => {
  const error = new GitalyError('ABORTED', 'grün 100%\n', {
    details: [create(LimitErrorSchema, { errorMessage: 'x' })],
  });

  const read = readStatus(received(errorHeaders(error, 65_535)), () => MISSING);

  assert.deepEqual(
    [read?.code, read?.message, unpackDetails(read?.details ?? [])],
    [error.code, error.message, error.details],
  );
});

test('a detail of an unknown type stays packed', () => {
  const any = create(AnySchema, { typeUrl: 'type.googleapis.com/other.Thing', value: Buffer.of(1, 2) });

  assert.deepEqual(arrived([any]), [any]);
  assert.deepEqual(unpackDetails([any]), [any]);
});

test('a detail of an unknown type is omitted', () => {
  assert.deepEqual(arrived([{ $typeName: 'no.Such' }]), []);
});

test('a truncated message does not end inside an escape', () => {
  for (let size = 1024 + 44 + 5; size < 1024 + 44 + 15; size++) {
    const { 'grpc-message': message } = errorHeaders(new GitalyError('INTERNAL', 'ü'.repeat(100)), size);
    assert.match(String(message), /^(%C3|%BC)*$/);
  }
});

// Rails showed a general error in place of what the operator's hook had printed.
for (const maxBytes of [8192, 16_384, 65_535]) {
  test(`a detail with a text that does not fit into ${maxBytes} bytes arrives, with less text`, () => {
    const stderr = Buffer.from('no ü here\n'.repeat(6000));
    const value = create(CustomHookErrorSchema, { stderr, stdout: Buffer.from('short'), hookType: 1 });
    const detail = create(UserCommitFilesErrorSchema, { error: { case: 'customHook', value } });
    const error = new GitalyError('PERMISSION_DENIED', `denied: ${stderr}`, { details: [detail] });

    const headers = errorHeaders(error, maxBytes);

    const read = readStatus(received(headers), () => MISSING);
    const [arrivedDetail] = unpackDetails(read?.details ?? []);
    // Its type is the one that was sent, which the next line finds out.
    const { case: kind, value: hook } = (arrivedDetail as UserCommitFilesError).error;
    assert.equal(kind, 'customHook');
    assert.deepEqual([Buffer.from(hook.stdout).toString(), hook.hookType], ['short', 1]);
    assert.ok(stderr.toString('latin1').startsWith(Buffer.from(hook.stderr).toString('latin1')));
    assert.ok(hook.stderr.length > maxBytes / 8);
    assert.ok(error.message.startsWith(read?.message ?? 'missing'));
    const bytes = Object.entries(headers).map(([name, text]) => name.length + String(text).length + 32);
    assert.ok(bytes.reduce((sum, each) => sum + each, 0) <= maxBytes);
    assert.equal(value.stderr.length, stderr.length);
  });
}

test('details whose shortest form does not fit are left out', () => {
  const details = Array.from({ length: 40 }, () =>
    create(LimitErrorSchema, { errorMessage: 'x'.repeat(250) }),
  );

  const headers = errorHeaders(new GitalyError('INTERNAL', 'm'.repeat(9000), { details }), 8192);

  assert.deepEqual(Object.keys(headers), ['grpc-status', 'grpc-message']);
  assert.ok(String(headers['grpc-message']).length > 7000);
});
