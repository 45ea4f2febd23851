import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { ListRefsResponseSchema } from '#wire/gen/ref_pb';
import { encodeMessage } from './encode-message.ts';
import { encodedMessage } from './encoded-message.ts';

const message = create(ListRefsResponseSchema, {
  references: [{ name: Buffer.from('refs/heads/main'), target: 'a'.repeat(40) }, { name: Buffer.from('x') }],
  paginationCursor: { nextCursor: 'x' },
});

test('an encoded message is sent as its bytes, without a copy', () => {
  const bytes = toBinary(ListRefsResponseSchema, message);

  const encoded = encodedMessage(ListRefsResponseSchema, bytes);

  assert.equal(encodeMessage(ListRefsResponseSchema, encoded)[0], bytes);
  assert.equal(create(ListRefsResponseSchema, encoded), encoded);
});

test('the general encoder also writes it', () => {
  const bytes = toBinary(ListRefsResponseSchema, message);

  assert.deepEqual(toBinary(ListRefsResponseSchema, encodedMessage(ListRefsResponseSchema, bytes)), bytes);
});

test('no bytes are an empty message', () => {
  const encoded = encodedMessage(ListRefsResponseSchema, new Uint8Array(0));

  assert.deepEqual(encodeMessage(ListRefsResponseSchema, encoded), [new Uint8Array(0)]);
});

test('a message in pieces is sent as these, and the general encoder joins them', () => {
  const bytes = toBinary(ListRefsResponseSchema, message);
  const other = toBinary(ListRefsResponseSchema, create(ListRefsResponseSchema, { references: [{}] }));

  const encoded = encodedMessage(ListRefsResponseSchema, [bytes, new Uint8Array(0), other]);

  assert.deepEqual(encodeMessage(ListRefsResponseSchema, encoded), [bytes, other]);
  assert.deepEqual(Buffer.from(toBinary(ListRefsResponseSchema, encoded)), Buffer.concat([bytes, other]));
});
