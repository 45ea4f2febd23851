import { GitalyError, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { asGoStatus } from '#base/go/status';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import type { OpenRemote, RemoteRepository } from '../remote/server/remote-repository.ts';
import type { SignalOption } from '../revisions/commit-id-of.ts';
import { branchReference } from '../revisions/reference-names.ts';

/** The branch of a commit of files, and the commit that it changes. */
export interface Parent {
  /** Commit of the branch; `undefined` if the branch does not exist. */
  readonly targetOid: string | undefined;
  /** `undefined` for the first commit of a history. */
  readonly parentOid: string | undefined;
  /** Repository with the parent's objects. */
  readonly repository: Repository;
}

export interface ParentRequest {
  readonly repository: Repository;
  /** Receives the objects that are fetched from another repository. */
  readonly target: Repository;
  readonly branchName: Uint8Array;
  /** Id of the parent; empty to take a branch. */
  readonly startOid: string;
  /** Branch whose commit is the parent; empty for the branch itself. */
  readonly startBranchName: Uint8Array;
  /** Opens another repository that has the parent; `undefined` for the repository itself. */
  readonly openRemote: OpenRemote | undefined;
}

const PEEL = Buffer.from('^{commit}');

/**
 * Finds the commit of the branch and the parent of the new commit, and fetches the parent if only
 * another repository has it.
 *
 * @throws {GitalyError} `resolve target branch commit: …`, `resolve parent commit: …`,
 *   `fetch missing commit: …`.
 */
export async function findParent(request: ParentRequest, options: SignalOption): Promise<Parent> {
  const { repository, target, openRemote } = request;
  const branch = branchReference(request.branchName);
  const targetOid = await commitOf(repository, branch, options).catch(
    wrapped('resolve target branch commit'),
  );
  const parentOid =
    request.startOid === '' ? await resolveParent(request, targetOid, options) : request.startOid;
  if (parentOid === undefined || parentOid === targetOid) return { targetOid, parentOid, repository };
  if ((await commitOf(repository, Buffer.from(parentOid), options)) !== undefined)
    return { targetOid, parentOid, repository };
  if (openRemote === undefined)
    throw new GitalyError('INTERNAL', 'fetch missing commit: lookup parent commit: reference not found');
  const remote = await openRemote().catch(wrapped('fetch missing commit: fetch parent commit'));
  await fetchParent(remote, target, parentOid);
  return { targetOid, parentOid, repository: target };
}

async function resolveParent(
  { repository, branchName, startBranchName, openRemote }: ParentRequest,
  targetOid: string | undefined,
  options: SignalOption,
): Promise<string | undefined> {
  if (openRemote === undefined && startBranchName.length === 0) return targetOid;
  const remote = await openRemote?.().catch(wrapped('resolve parent commit: remote repository'));
  const hasBranches = await (remote ? remoteHasBranches(remote) : repository.refs.hasBranches(options));
  // A new fork whose start repository is itself, behind a proxy that hides this.
  if (!hasBranches) return targetOid;
  const start = branchReference(startBranchName.length === 0 ? branchName : startBranchName);
  const revision = Buffer.concat([start, PEEL]);
  const where = remote === undefined ? '*localrepo.Repo' : '*remoterepo.Repo';
  const prefix = `resolve parent commit: resolving refish ${quote(revision)} in ${where}`;
  const oid = await (remote?.resolveCommit(revision) ??
    commitOf(repository, start, options).catch(wrapped(prefix)));
  if (oid !== undefined) return oid;
  throw new GitalyError('INTERNAL', `${prefix}: reference not found`);
}

async function remoteHasBranches(repository: RemoteRepository): Promise<boolean> {
  try {
    return await repository.hasBranches();
  } catch (error) {
    throw wrap(asGoStatus(error), 'resolve parent commit: has branches: has local branches');
  }
}

async function fetchParent(from: RemoteRepository, to: Repository, oid: string): Promise<void> {
  try {
    await from.fetchInto(to, oid);
  } catch (error) {
    const reason =
      error instanceof GitExitError
        ? new Error(`${messageOf(error)}, stderr: ${quote(error.stderr)}`, { cause: error })
        : asGoStatus(error);
    throw wrap(reason, 'fetch missing commit: fetch parent commit');
  }
}

/** Resolves a commit. @throws {Error} for a name that cannot be an argument of git. */
async function commitOf(
  repository: Repository,
  reference: Buffer,
  options: SignalOption,
): Promise<string | undefined> {
  const revision = Buffer.concat([reference, PEEL]);
  if (revision.includes(0)) throw new Error(`detected null byte in command argument ${quote(revision)}`);
  return (await repository.objects.info(revision, options))?.oid;
}
