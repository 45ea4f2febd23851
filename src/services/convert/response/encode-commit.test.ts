import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { fc } from '#testkit/fast-check';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import { GitCommitSchema, TagSchema } from '#wire/gen/shared_pb';
import { encodeCommit, encodeTag } from './encode-commit.ts';

const bytes = fc.uint8Array({ maxLength: 200 });
const name = fc.uint8Array({ minLength: 1, maxLength: 200 });
const id = fc.stringMatching(/^[0-9a-f]{40}$/);
const size = fc.bigInt(0n, 2n ** 40n);
const date = fc.option(fc.record({ seconds: fc.oneof(fc.bigInt(0n, 2n ** 63n - 1n), fc.constant(0n)) }), {
  nil: undefined,
});
const person = fc
  .record({ name: bytes, email: bytes, timezone: bytes })
  .chain((who) => date.map((when) => ({ ...who, ...(when && { date: when }) })));
const commit = fc.record(
  {
    id,
    subject: bytes,
    body: bytes,
    author: person,
    committer: person,
    parentIds: fc.array(id, { maxLength: 3 }),
    bodySize: size,
    signatureType: fc.nat(3),
    treeId: id,
    trailers: fc.array(fc.record({ key: bytes, value: bytes }), { maxLength: 3 }),
    shortStats: fc.record({ additions: fc.nat(), deletions: fc.nat(), changedFiles: fc.nat() }),
    referencedBy: fc.array(name, { maxLength: 3 }),
    encoding: fc.constantFrom('', 'ISO-8859-1', 'é'),
  },
  { requiredKeys: [] },
);
const tag = fc.record(
  {
    id,
    name: bytes,
    message: bytes,
    messageSize: size,
    tagger: person,
    signatureType: fc.nat(3),
    targetCommit: commit,
  },
  { requiredKeys: [] },
);

const writer = new ReverseWriter();

test('commits are written as the general encoder writes them', () => {
  fc.assert(
    fc.property(commit, (message) => {
      encodeCommit(writer, message);

      assert.ok(writer.take().equals(toBinary(GitCommitSchema, create(GitCommitSchema, message))));
    }),
  );
});

test('tags are written as the general encoder writes them', () => {
  fc.assert(
    fc.property(tag, (message) => {
      encodeTag(writer, message);

      assert.ok(writer.take().equals(toBinary(TagSchema, create(TagSchema, message))));
    }),
  );
});
