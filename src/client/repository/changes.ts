import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { IndexError_ErrorType, IndexErrorSchema } from '#wire/gen/errors_pb';
import type { CallOptions } from '../call/call-types.ts';
import { commitFiles, type FileAction } from '../split/commit-files.ts';
import { confirmMerge, requireAccepted } from '../split/confirm-merge.ts';
import type { Content } from '../split/split-bytes.ts';
import { FileChangeError } from './errors.ts';
import type { Place } from './place.ts';
import { decodeText, type TextOrBytes, timestamp, toBytes } from './values.ts';

export interface CommitOptions extends CallOptions {
  /** Name without `refs/heads/`. It is created if it does not exist. */
  readonly branch: TextOrBytes;
  readonly message: TextOrBytes;
  /**
   * Contents by path; `null` removes a file. An existing file is replaced, any other is created.
   * One additional call finds out which exist.
   */
  readonly files?: Readonly<Record<string, Content | null>>;
  /**
   * Single changes, for moves, modes and paths that are not UTF-8. They are applied after `files`.
   */
  readonly actions?: Iterable<FileAction>;
  /** The author, if it is not the user. */
  readonly author?: { readonly name: string; readonly email: string };
  /** The branch or full id that a new branch begins at. Default: the branch itself. */
  readonly start?: { readonly branch: TextOrBytes } | { readonly oid: string };
  /** Replaces the branch by the new commit, even if commits are lost. */
  readonly force?: boolean;
  /** Fails with {@link ReferenceChangedError} unless the branch points there. */
  readonly expectedOid?: string;
}

export interface MergeOptions extends CallOptions {
  /** Branch, tag or commit to merge. */
  readonly source: string;
  /** Branch that gets the merge, without `refs/heads/`. */
  readonly into: TextOrBytes;
  readonly message: TextOrBytes;
  readonly expectedOid?: string;
}

export interface PickOptions extends CallOptions {
  /** Branch, tag or commit. */
  readonly commit: string;
  /** Branch that gets the new commit, without `refs/heads/`. */
  readonly onto: TextOrBytes;
  readonly message: TextOrBytes;
}

/** Commits changes of files (RPC UserCommitFiles; for `files` GetBlobs before it). */
export async function commit(place: Place, options: CommitOptions): Promise<string> {
  const { branch, message, files = {}, actions = [], author, start, force = false, expectedOid } = options;
  const { connection, repository, user } = place;
  const header = {
    repository,
    user,
    branchName: toBytes(branch),
    commitMessage: toBytes(message),
    commitAuthorName: toBytes(author?.name ?? ''),
    commitAuthorEmail: toBytes(author?.email ?? ''),
    force,
    expectedOldOid: expectedOid ?? '',
    startBranchName: toBytes(start !== undefined && 'branch' in start ? start.branch : ''),
    startSha: start !== undefined && 'oid' in start ? start.oid : '',
    timestamp: timestamp(),
  };
  const all = [...(await actionsOf(place, files, options)), ...actions];
  for (const { path } of all) requireAllowedPath(path);
  const update = await commitFiles(connection, header, all, options);
  if (update === undefined) throw new GitalyError('INTERNAL', 'the server named no new commit');
  return update.commitId;
}

/** @throws {FileChangeError} for a path in `.git`: git refuses it without a reason. */
function requireAllowedPath(path: TextOrBytes): void {
  if (!/(?:^|\/)\.git(?:\/|$)/i.test(decodeText(toBytes(path)))) return;
  const detail = create(IndexErrorSchema, {
    path: toBytes(path),
    errorType: IndexError_ErrorType.INVALID_PATH,
  });
  throw new FileChangeError(
    invalidArgument(`invalid path: ${decodeText(detail.path)}: git keeps no files in .git`),
    detail,
  );
}

/**
 * Returns the actions for `files`, which depend on the files that exist where the commit begins.
 */
async function actionsOf(
  { connection, repository }: Place,
  files: Readonly<Record<string, Content | null>>,
  options: CommitOptions,
): Promise<FileAction[]> {
  const paths = Object.keys(files);
  if (paths.length === 0) return [];
  const { start, branch } = options;
  const revision = start === undefined ? inHeads(branch) : 'oid' in start ? start.oid : inHeads(start.branch);
  const revisionPaths = paths.map((path) => ({ revision, path: Buffer.from(path) }));
  const existing = new Set<string>();
  for await (const { oid, path } of connection.blob.getBlobs(
    { repository, revisionPaths, limit: 0n },
    options,
  ))
    if (oid !== '') existing.add(Buffer.from(path).toString());
  return paths.map((path) => {
    const content = files[path] ?? null;
    if (content === null) return { type: 'delete', path };
    return { type: existing.has(path) ? 'update' : 'create', path, content };
  });
}

function inHeads(branch: TextOrBytes): string {
  return `refs/heads/${Buffer.from(toBytes(branch)).toString()}`;
}

/** Merges a commit into a branch (RPC UserMergeBranch, FindCommit before it). */
export async function merge(place: Place, options: MergeOptions): Promise<string> {
  const { connection, repository, user } = place;
  const { source, into, message, expectedOid = '' } = options;
  const commitId = await requireCommit(place, source, options);
  const header = { repository, user, commitId, branch: toBytes(into), message: toBytes(message) };
  const request = { ...header, expectedOldOid: expectedOid, timestamp: timestamp() };
  return await confirmMerge(connection, request, options);
}

/** Repeats the change of a commit on a branch (RPC UserCherryPick, FindCommit before it). */
export async function cherryPick(place: Place, options: PickOptions): Promise<string> {
  return newTip(await place.connection.operation.userCherryPick(await pick(place, options), options));
}

/** Undoes the change of a commit on a branch (RPC UserRevert, FindCommit before it). */
export async function revert(place: Place, options: PickOptions): Promise<string> {
  return newTip(await place.connection.operation.userRevert(await pick(place, options), options));
}

async function pick(place: Place, options: PickOptions) {
  const { connection, repository, user } = place;
  const { commit: revision, onto, message } = options;
  const { commit: found } = await connection.commit.findCommit(
    { repository, revision: Buffer.from(revision) },
    options,
  );
  if (found === undefined) throw unknownRevision(revision);
  const fields = { commit: found, branchName: toBytes(onto), message: toBytes(message) };
  return { repository, user, ...fields, timestamp: timestamp() };
}

async function requireCommit(
  { connection, repository }: Place,
  revision: string,
  options: CallOptions,
): Promise<string> {
  const request = { repository, revision: Buffer.from(revision) };
  const { commit: found } = await connection.commit.findCommit(request, options);
  if (found === undefined) throw unknownRevision(revision);
  return found.id;
}

function unknownRevision(revision: string): GitalyError {
  return new GitalyError('NOT_FOUND', `no commit at ${revision}`);
}

interface NewTip {
  readonly branchUpdate?: { readonly commitId: string } | undefined;
  readonly preReceiveError: string;
  readonly createTreeError: string;
}

function newTip({ branchUpdate, preReceiveError, createTreeError }: NewTip): string {
  requireAccepted(preReceiveError);
  if (createTreeError !== '') throw new GitalyError('FAILED_PRECONDITION', createTreeError);
  if (branchUpdate === undefined) throw new GitalyError('INTERNAL', 'the server named no new commit');
  return branchUpdate.commitId;
}
