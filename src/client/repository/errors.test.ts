import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import {
  IndexErrorSchema,
  IndexError_ErrorType as IndexErrorType,
  LimitErrorSchema,
} from '#wire/gen/errors_pb';
import { UserCommitFilesErrorSchema, UserMergeBranchErrorSchema } from '#wire/gen/operations_pb';
import {
  AccessDeniedError,
  FileChangeError,
  HookRejectedError,
  MergeConflictError,
  ReferenceChangedError,
  typedError,
} from './errors.ts';

const failed = (...details: Message[]) =>
  new GitalyError('FAILED_PRECONDITION', 'refused', { details, metadata: { fact: 1 } });
type MergeInit = Exclude<MessageInitShape<typeof UserMergeBranchErrorSchema>, Message>;
const merge = (error: NonNullable<MergeInit['error']>) =>
  failed(create(UserMergeBranchErrorSchema, { error }));

test('a detail of a change makes a typed error with its fields and the error as its cause', () => {
  const conflictingFiles = [Buffer.from('a'), Buffer.from('b')];
  const conflict = merge({
    case: 'mergeConflict',
    value: { conflictingFiles, conflictingCommitIds: ['1', '2'] },
  });
  const typed = typedError(conflict);
  assert.ok(typed instanceof MergeConflictError);
  assert.deepEqual(
    [typed.files, typed.commits],
    [
      ['a', 'b'],
      ['1', '2'],
    ],
  );
  assert.deepEqual([typed.name, typed.code, typed.message], ['MergeConflictError', conflict.code, 'refused']);
  assert.deepEqual([typed.cause, typed.details, typed.metadata], [conflict, conflict.details, { fact: 1 }]);

  const output = { stdout: Buffer.from('out'), stderr: Buffer.from('err') };
  const hook = typedError(merge({ case: 'customHook', value: output }));
  assert.ok(hook instanceof HookRejectedError);
  assert.deepEqual([hook.name, hook.stdout, hook.stderr], ['HookRejectedError', 'out', 'err']);

  const moved = typedError(
    merge({ case: 'referenceUpdate', value: { referenceName: Buffer.from('refs/x') } }),
  );
  assert.ok(moved instanceof ReferenceChangedError);
  assert.deepEqual([moved.name, moved.reference], ['ReferenceChangedError', 'refs/x']);
});

test('the reason of an access check is the message, if there is one', () => {
  const denied = (errorMessage: string) =>
    typedError(merge({ case: 'accessCheck', value: { errorMessage } }));

  for (const [reason, message] of [
    ['You may not.', 'You may not.'],
    ['', 'refused'],
  ] as const) {
    const error = denied(reason);
    assert.ok(error instanceof AccessDeniedError);
    assert.deepEqual([error.name, error.message], ['AccessDeniedError', message]);
  }
});

test('a file that cannot be changed has its path and a reason', () => {
  const reasonOf = (errorType: IndexErrorType): unknown => {
    const value = create(IndexErrorSchema, { path: Buffer.from('dir/a'), errorType });
    const error = typedError(
      failed(create(UserCommitFilesErrorSchema, { error: { case: 'indexUpdate', value } })),
    );
    assert.ok(error instanceof FileChangeError);
    assert.deepEqual([error.path, error.pathBytes], ['dir/a', Buffer.from('dir/a')]);
    return error.reason;
  };

  assert.equal(reasonOf(IndexErrorType.EMPTY_PATH), 'empty path');
  assert.equal(reasonOf(IndexErrorType.INVALID_PATH), 'invalid path');
  assert.equal(reasonOf(IndexErrorType.DIRECTORY_EXISTS), 'directory exists');
  assert.equal(reasonOf(IndexErrorType.DIRECTORY_TRAVERSAL), 'outside');
  assert.equal(reasonOf(IndexErrorType.FILE_EXISTS), 'file exists');
  assert.equal(reasonOf(IndexErrorType.FILE_NOT_FOUND), 'no file');
  assert.equal(reasonOf(IndexErrorType.UNSPECIFIED), 'invalid path');
});

test('an error without such a detail stays as it is', () => {
  const others = [
    new Error('of another kind'),
    failed(),
    failed(create(LimitErrorSchema, { errorMessage: 'busy' })),
    failed(create(UserMergeBranchErrorSchema)),
    // A server of another release may send messages with a field of this name.
    ...['text', null, {}, { value: 'text' }, { value: null }].map((error) =>
      failed({ $typeName: 'other', error } as Message),
    ),
  ];
  for (const error of others) assert.equal(typedError(error), error);
});

test('of several details the first that has a type counts', () => {
  const limit = create(LimitErrorSchema, { errorMessage: 'busy' });
  const index = create(IndexErrorSchema, { path: Buffer.from('a') });

  assert.ok(typedError(failed(limit, index)) instanceof FileChangeError, 'also without a message around it');
});
