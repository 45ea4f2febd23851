import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { DeleteRefsRequestSchema } from '#wire/gen/ref_pb';
import { WriteRefRequestSchema } from '#wire/gen/repository_pb';
import { lockedReferences } from './locked-references.ts';

const OID = 'a1'.repeat(20);
const ZEROS = '0'.repeat(40);

const lockedBy = (ref: string | Buffer, revision: string, oldRevision = '') =>
  lockedReferences(
    create(WriteRefRequestSchema, {
      ref: Buffer.from(ref),
      revision: Buffer.from(revision),
      oldRevision: Buffer.from(oldRevision),
    }),
  );

test('a write of an object locks its reference', () => {
  assert.deepEqual(lockedBy('refs/heads/a', OID), ['refs/heads/a']);
  assert.deepEqual(lockedBy('refs/heads/a', 'B2'.repeat(32), ZEROS), ['refs/heads/a']);
  assert.deepEqual(lockedBy('refs/tags/a', OID, OID), ['refs/tags/a']);
});

test('each byte of a name counts', () => {
  const [one, other] = [0xe4, 0xf6].map((byte) =>
    lockedBy(Buffer.from([...Buffer.from('refs/heads/'), byte]), OID),
  );
  assert.notDeepEqual(one, other);
});

for (const [what, ref, revision, old] of [
  ['of HEAD', 'HEAD', 'refs/heads/a', ''],
  ['of a short name', 'heads/a', OID, ''],
  ['that deletes', 'refs/heads/a', ZEROS, ''],
  ['of a revision that nodes resolve', 'refs/heads/a', 'refs/heads/b', ''],
  ['of a short object id', 'refs/heads/a', OID.slice(1), ''],
  ['whose old revision nodes resolve', 'refs/heads/a', OID, 'refs/heads/b'],
] as const)
  test(`a write ${what} locks all references`, () => {
    assert.equal(lockedBy(ref, revision, old), undefined);
  });

test('other requests lock all references', () => {
  const request = create(DeleteRefsRequestSchema, { refs: [Buffer.from('refs/heads/a')] });
  assert.equal(lockedReferences(request), undefined);
});
