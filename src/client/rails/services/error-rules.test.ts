import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import { GitalyError, type StatusCode } from '#base/gitaly-error';
import { CallError } from '#client/call/call-error';
import { GetTreeEntriesErrorSchema } from '#wire/gen/commit_pb';
import { IndexError_ErrorType as IndexType, PathError_ErrorType as PathType } from '#wire/gen/errors_pb';
import {
  UserCherryPickErrorSchema,
  UserCommitFilesErrorSchema,
  UserMergeBranchErrorSchema,
  UserRebaseConfirmableErrorSchema,
  UserRevertErrorSchema,
  UserSquashErrorSchema,
  UserUpdateSubmoduleErrorSchema,
} from '#wire/gen/operations_pb';
import { DeleteRefsErrorSchema, UpdateReferencesErrorSchema } from '#wire/gen/ref_pb';
import {
  CHERRY_PICK_RULES,
  COMMIT_FILES_RULES,
  operationError,
  REBASE_RULES,
  REVERT_RULES,
  submoduleRules,
} from './operation-errors.ts';
import { CHANGE_REFS_RULES } from './ref-errors.ts';
import { type ErrorRules, translatedError } from './translate-errors.ts';
import { TREE_RULES } from './tree-errors.ts';

const CALL = { rpc: '/gitaly.X/Y', address: 'unix:x', operation: 'mutator' } as const;

/** The error of a call as a connection throws it. */
function failed(detail?: Message, message = 'refused', code: StatusCode = 'FAILED_PRECONDITION'): CallError {
  const details = detail === undefined ? [] : [detail];
  return new CallError(new GitalyError(code, message, { details }), CALL);
}

/** Name, message and code of Rails' error. */
function railsError(error: CallError, rules: ErrorRules): string {
  const { name, message, errorCode } = Object(operationError(error, rules));
  return [name, errorCode, message].filter((part) => part !== undefined).join(': ');
}

const value = {};

test('a cherry-pick and a revert have the codes of CreateTreeError', () => {
  const pick = (field: 'cherryPickConflict' | 'changesAlreadyApplied' | 'targetBranchDiverged') =>
    railsError(
      failed(create(UserCherryPickErrorSchema, { error: { case: field, value } })),
      CHERRY_PICK_RULES,
    );
  const revert = (field: 'mergeConflict' | 'changesAlreadyApplied' | 'notAncestor') =>
    railsError(failed(create(UserRevertErrorSchema, { error: { case: field, value } })), REVERT_RULES);

  assert.equal(pick('cherryPickConflict'), 'CreateTreeError: CONFLICT: CONFLICT');
  assert.equal(pick('changesAlreadyApplied'), 'CreateTreeError: EMPTY: EMPTY');
  assert.equal(pick('targetBranchDiverged'), 'CommitError: branch diverged');
  assert.equal(
    railsError(failed(undefined, 'bad', 'INVALID_ARGUMENT'), CHERRY_PICK_RULES),
    'CommandError: bad',
  );
  assert.equal(revert('mergeConflict'), 'CreateTreeError: CONFLICT: CONFLICT');
  assert.equal(revert('changesAlreadyApplied'), 'CreateTreeError: EMPTY: EMPTY');
  assert.equal(revert('notAncestor'), 'CommitError: branch diverged');
  assert.equal(railsError(failed(undefined, 'bad', 'INVALID_ARGUMENT'), REVERT_RULES), 'CallError: bad');
});

test('a failed rebase or squash has the message of the server', () => {
  for (const detail of [
    create(UserRebaseConfirmableErrorSchema, { error: { case: 'rebaseConflict', value } }),
    create(UserSquashErrorSchema, { error: { case: 'rebaseConflict', value } }),
    create(UserSquashErrorSchema, { error: { case: 'resolveRevision', value } }),
  ])
    assert.equal(railsError(failed(detail, 'rebasing'), REBASE_RULES), 'GitError: rebasing');
});

test('a change of a file has a text for users, which may name the path', () => {
  const text = (errorType: IndexType): string => {
    const index = { path: Buffer.from('dir/a'), errorType };
    const detail = create(UserCommitFilesErrorSchema, { error: { case: 'indexUpdate', value: index } });
    return railsError(failed(detail), COMMIT_FILES_RULES);
  };

  assert.equal(text(IndexType.EMPTY_PATH), 'IndexError: You must provide a file path');
  assert.equal(text(IndexType.DIRECTORY_EXISTS), 'IndexError: A directory with this name already exists');
  assert.equal(text(IndexType.DIRECTORY_TRAVERSAL), 'IndexError: Path cannot include directory traversal');
  assert.equal(text(IndexType.FILE_EXISTS), 'IndexError: A file with this name already exists');
  assert.equal(text(IndexType.FILE_NOT_FOUND), "IndexError: A file with this name doesn't exist");
  assert.equal(text(IndexType.INVALID_PATH), "IndexError: invalid path: 'dir/a'");
});

test('an invalid argument of a commit is an error of its path or of its expected id', () => {
  const text = (message: string) =>
    railsError(failed(undefined, message, 'INVALID_ARGUMENT'), COMMIT_FILES_RULES);

  assert.equal(text('invalid path: "x"'), 'IndexError: invalid path: "x"');
  assert.equal(text('invalid expected old object ID: x'), 'CommandError: invalid expected old object ID: x');
  assert.equal(text('empty CommitMessage'), 'CallError: empty CommitMessage');
  assert.equal(text('not an invalid path'), 'CallError: not an invalid path');
});

test('a submodule has texts for users', () => {
  const rules = submoduleRules('lib/x', '1234');
  const path = (errorType: PathType): string => {
    const error = { case: 'pathError', value: { path: Buffer.from('lib/x'), errorType } } as const;
    return railsError(failed(create(UserUpdateSubmoduleErrorSchema, { error }), 'server'), rules);
  };
  const moved = (referenceName: string): string => {
    const error = { case: 'referenceUpdate', value: { referenceName: Buffer.from(referenceName) } } as const;
    return railsError(failed(create(UserUpdateSubmoduleErrorSchema, { error })), rules);
  };

  assert.equal(path(PathType.INVALID_PATH), 'CommitError: Invalid submodule path');
  assert.equal(path(PathType.PATH_EXISTS), 'CommitError: The submodule lib/x is already at 1234');
  assert.equal(path(PathType.LONG_PATH), 'CallError: server');
  assert.equal(
    moved('refs/heads/main'),
    'CommitError: Could not update refs/heads/main. Please refresh and try again.',
  );
});

test('a hook shows its lines for users, of its errors or else of its output', () => {
  const hook = (stdout: string, stderr: string): string => {
    const output = { stdout: Buffer.from(stdout), stderr: Buffer.from(stderr) };
    const detail = create(UserMergeBranchErrorSchema, { error: { case: 'customHook', value: output } });
    return railsError(failed(detail), {});
  };

  assert.equal(hook('GitLab: out', 'GitLab: err\nplain\nGL-HOOK-ERR: two'), 'PreReceiveError: err\ntwo');
  assert.equal(hook('GitLab: out', ' \n'), 'PreReceiveError: out');
  assert.equal(hook('plain', ''), 'PreReceiveError: Prevented by server hooks');
});

test('an access check shows its reason, also in the answers of 15.0', () => {
  const denied = { case: 'accessCheck', value: { errorMessage: 'You may not.' } } as const;
  const detail = create(UserMergeBranchErrorSchema, { error: denied });
  assert.equal(railsError(failed(detail), {}), 'PreReceiveError: You may not.');

  const old = new GitalyError('PERMISSION_DENIED', 'GitLab: not allowed');
  assert.equal(Object(operationError(old, {})).message, 'not allowed');
  const others = [
    new GitalyError('INTERNAL', 'GitLab: x'),
    failed(undefined, 'GitLab: x', 'PERMISSION_DENIED'),
  ];
  for (const error of others) assert.equal(operationError(error, {}), error);
});

test('malformed names of references are listed, of both calls', () => {
  const refs = ['a..b', 'c d'].map((name) => Buffer.from(name));
  const error = { case: 'invalidFormat', value: { refs } } as const;
  for (const schema of [UpdateReferencesErrorSchema, DeleteRefsErrorSchema]) {
    const { name, message } = Object(translatedError(failed(create(schema, { error })), CHANGE_REFS_RULES));
    assert.equal(`${name}: ${message}`, 'InvalidRefFormatError: references have an invalid format: a..b,c d');
  }
  const locked = create(DeleteRefsErrorSchema, { error: { case: 'referencesLocked', value } });
  assert.equal(railsError(failed(locked), CHANGE_REFS_RULES), 'ReferencesLockedError: refused');
  const moved = create(UpdateReferencesErrorSchema, { error: { case: 'referenceStateMismatch', value } });
  assert.equal(railsError(failed(moved), CHANGE_REFS_RULES), 'ReferenceStateMismatchError: refused');
});

test('a path that cannot be listed has a text for users', () => {
  const text = (errorType: PathType): string => {
    const detail = create(GetTreeEntriesErrorSchema, { error: { case: 'path', value: { errorType } } });
    return railsError(failed(detail), TREE_RULES);
  };

  assert.equal(text(PathType.EMPTY_PATH), 'IndexError: You must provide a file path');
  assert.equal(
    text(PathType.RELATIVE_PATH_ESCAPES_REPOSITORY),
    'IndexError: Path cannot include traversal syntax',
  );
  assert.equal(text(PathType.ABSOLUTE_PATH), 'IndexError: Only relative path is accepted');
  assert.equal(text(PathType.LONG_PATH), 'IndexError: Path is too long');
  assert.equal(text(PathType.UNSPECIFIED), 'IndexError: Unknown path error');
  const tree = create(GetTreeEntriesErrorSchema, { error: { case: 'resolveTree', value } });
  assert.equal(railsError(failed(tree), TREE_RULES), 'IndexError: refused');
});
