import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  create,
  type DescMessage,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { GetBlobResponseSchema } from '#wire/gen/blob_pb';
import { RaftSnapshotMessageRequestSchema } from '#wire/gen/cluster_pb';
import { FindCommitResponseSchema } from '#wire/gen/commit_pb';
import { PostReceivePackRequestSchema } from '#wire/gen/smarthttp_pb';
import { SSHUploadPackResponseSchema } from '#wire/gen/ssh_pb';
import { BY_REFERENCE_BYTES, encodeMessage } from './encode-message.ts';

const bytes = (length: number) => Buffer.alloc(length, 'gitaly');
const join = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks);

/** Asserts that the chunks equal the output of `toBinary` and decode to the message. */
function assertEncodes<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  chunks: readonly Uint8Array[],
): void {
  assert.ok(join(chunks).equals(toBinary(schema, message)));
  assert.deepEqual(toBinary(schema, fromBinary(schema, join(chunks))), toBinary(schema, message));
}

test('a large payload is passed on as the same array, between the fields around it', () => {
  const data = bytes(100_000);
  const message = create(GetBlobResponseSchema, { size: 100_000n, data, oid: 'a'.repeat(40) });

  const chunks = encodeMessage(GetBlobResponseSchema, message);

  assert.equal(chunks.length, 3);
  assert.equal(chunks[1], data);
  assertEncodes(GetBlobResponseSchema, message, chunks);
});

test('a message with only a payload is encoded as a head and the payload', () => {
  const data = bytes(32_768);
  const message = create(PostReceivePackRequestSchema, { data });

  const chunks = encodeMessage(PostReceivePackRequestSchema, message);

  assert.deepEqual(
    chunks.map((chunk) => chunk.length),
    [4, 32_768],
  );
  assert.equal(chunks[1], data);
  assertEncodes(PostReceivePackRequestSchema, message, chunks);
});

test('the limit is exact', () => {
  for (const [length, chunkCount] of [
    [0, 1],
    [1, 1],
    [BY_REFERENCE_BYTES - 1, 1],
    [BY_REFERENCE_BYTES, 2],
    [BY_REFERENCE_BYTES + 1, 2],
  ] as const) {
    const message = create(PostReceivePackRequestSchema, { data: bytes(length) });

    const chunks = encodeMessage(PostReceivePackRequestSchema, message);

    assert.equal(chunks.length, chunkCount, `${length} bytes`);
    assertEncodes(PostReceivePackRequestSchema, message, chunks);
  }
});

test('two large payloads in one message stay uncopied; a small one beside a large one is copied', () => {
  const [stdout, stderr] = [bytes(5000), bytes(6000)];
  const both = create(SSHUploadPackResponseSchema, { stdout, stderr, exitStatus: { value: 1 } });
  const one = create(SSHUploadPackResponseSchema, { stdout: bytes(10), stderr, exitStatus: { value: 1 } });

  const [ofBoth, ofOne] = [
    encodeMessage(SSHUploadPackResponseSchema, both),
    encodeMessage(SSHUploadPackResponseSchema, one),
  ];

  assert.ok(ofBoth.includes(stdout) && ofBoth.includes(stderr));
  assert.ok(ofOne.includes(stderr));
  assertEncodes(SSHUploadPackResponseSchema, both, ofBoth);
  assertEncodes(SSHUploadPackResponseSchema, one, ofOne);
});

test('a payload in a oneof is passed on as the same array', () => {
  const chunk = bytes(9000);
  const message = create(RaftSnapshotMessageRequestSchema, {
    raftSnapshotPayload: { case: 'chunk', value: chunk },
  });

  const chunks = encodeMessage(RaftSnapshotMessageRequestSchema, message);

  assert.ok(chunks.includes(chunk));
  assertEncodes(RaftSnapshotMessageRequestSchema, message, chunks);
});

test('unknown fields of a passed-on message survive', () => {
  const message = create(PostReceivePackRequestSchema, { data: bytes(5000), glId: 'user-1' });
  message.$unknown = [{ no: 999, wireType: 2, data: Buffer.of(2, 104, 105) }];

  const chunks = encodeMessage(PostReceivePackRequestSchema, message);

  assert.deepEqual(fromBinary(PostReceivePackRequestSchema, join(chunks)).$unknown, message.$unknown);
  assertEncodes(PostReceivePackRequestSchema, message, chunks);
});

test('messages without a payload are one chunk, empty for an empty message', () => {
  const message = create(FindCommitResponseSchema, { commit: { id: 'a'.repeat(40), body: bytes(20_000) } });

  const chunks = encodeMessage(FindCommitResponseSchema, message);

  assert.equal(chunks.length, 1);
  assertEncodes(FindCommitResponseSchema, message, chunks);
  assert.deepEqual(encodeMessage(FindCommitResponseSchema, create(FindCommitResponseSchema)), [
    new Uint8Array(0),
  ]);
});

test('a message of another type is refused', () => {
  const message: Message = create(PostReceivePackRequestSchema, { data: bytes(5000) });

  // Callers without types can do this.
  assert.throws(
    () => encodeMessage(GetBlobResponseSchema, message as MessageShape<typeof GetBlobResponseSchema>),
    /cannot use/,
  );
});
