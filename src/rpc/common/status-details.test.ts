import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { GitalyError } from '#base/gitaly-error';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import { packStatus, statusError, unpackDetails } from './status-details.ts';

test('details survive the way there and back', () => {
  const detail = create(LimitErrorSchema, { errorMessage: 'too many' });

  const error = statusError(
    'RESOURCE_EXHAUSTED',
    'no',
    packStatus(new GitalyError('RESOURCE_EXHAUSTED', 'no', { details: [detail] })),
  );

  assert.equal(error.code, 'RESOURCE_EXHAUSTED');
  assert.equal(error.message, 'no');
  assert.deepEqual(error.details, [detail]);
});

test('a detail of an unknown type stays packed', () => {
  const any = create(AnySchema, { typeUrl: 'type.googleapis.com/other.Thing', value: Uint8Array.of(1, 2) });

  assert.deepEqual(unpackDetails(packStatus(new GitalyError('INTERNAL', 'x', { details: [any] }))), [any]);
});

test('a detail that nobody knows how to pack is left out', () => {
  assert.deepEqual(unpackDetails(packStatus(new GitalyError('INTERNAL', 'x', { details: [{ $typeName: 'no.Such' }] }))), []);
});

test('bytes that are not a status give no details', () => {
  assert.deepEqual(unpackDetails(Buffer.from([0xff, 0xff])), []);
});
