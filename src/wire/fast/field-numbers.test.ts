import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListAllBlobsResponse_BlobSchema, ListBlobsResponse_BlobSchema } from '../gen/blob_pb.js';
import { FindCommitsRequestSchema } from '../gen/commit_pb.js';
import { FindLocalBranchCommitAuthorSchema } from '../gen/ref_pb.js';
import { CommitAuthorSchema, GitCommitSchema } from '../gen/shared_pb.js';
import { fieldNumber, fieldNumbers, fieldTags } from './field-numbers.ts';

test('numbers and tags are those of the descriptor', () => {
  const kinds = { id: 'text', subject: 'bytes', bodySize: 'number', author: 'message' } as const;

  assert.deepEqual(fieldNumbers(GitCommitSchema, kinds), { id: 1, subject: 2, bodySize: 7, author: 4 });
  assert.deepEqual(fieldTags(GitCommitSchema, kinds), {
    id: 0x0a,
    subject: 0x12,
    bodySize: 0x38,
    author: 0x22,
  });
});

test('a field that does not exist, is of another kind or has too high a number is refused', () => {
  assert.throws(() => fieldNumber(GitCommitSchema, 'gone', 'text'), {
    message: 'gitaly.GitCommit has no field gone',
  });
  assert.throws(() => fieldNumber(GitCommitSchema, 'id', 'bytes'), {
    message: 'gitaly.GitCommit.id is not of the kind bytes',
  });
  assert.throws(() => fieldNumber(FindCommitsRequestSchema, 'trailers', 'number'), /has number 16/);
});

test('messages that one encoder writes for several types have the same fields', () => {
  const person = { name: 'bytes', email: 'bytes', date: 'message', timezone: 'bytes' } as const;
  const blob = { oid: 'text', size: 'number', data: 'bytes' } as const;

  assert.deepEqual(
    fieldNumbers(FindLocalBranchCommitAuthorSchema, person),
    fieldNumbers(CommitAuthorSchema, person),
  );
  assert.deepEqual(
    fieldTags(ListAllBlobsResponse_BlobSchema, blob),
    fieldTags(ListBlobsResponse_BlobSchema, blob),
  );
});
