import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { RemoteRepository } from '#domain/remote-repository/remote-repository';
import { GitExitError } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { UserCommitFilesRequestHeader } from '#wire/gen/operations_pb';
import type { Repository as RepositoryMessage } from '#wire/gen/shared_pb';
import { asGoStatus } from '../convert/go-status.ts';
import { remoteOptionsOf } from '../convert/remote-options.ts';
import type { OperationRooms } from './index.ts';
import { branchReference } from './request-parts.ts';

/** Where a commit of files begins. */
export interface CommitStart {
  /** Commit of the branch; `undefined` for a branch that is to be made. */
  readonly targetOid: string | undefined;
  /** What the new commit changes; `undefined` for the first of a history. */
  readonly parentOid: string | undefined;
  /** Where the parent's objects are. */
  readonly repository: Repository;
}

export interface StartParts {
  readonly repository: Repository;
  /** Where objects of another repository go. */
  readonly target: Repository;
  readonly header: UserCommitFilesRequestHeader;
}

const PEEL = Buffer.from('^{commit}');

/**
 * Looks up the branch, and the commit to begin with: a given one, another branch's, or that of the branch itself; in another repository where
 * the request says so, from which it is fetched then.
 *
 * @throws {GitalyError} `resolve parent commit: …`, `fetch missing commit: …`.
 */
export async function startOf(parts: StartParts, context: HandlerContext, rooms: OperationRooms): Promise<CommitStart> {
  const { repository, header } = parts;
  const { signal } = context;
  const branch = branchReference(header.branchName);
  const targetOid = await commitOf(repository, branch, signal).catch((error: unknown) => {
    throw wrap(error, 'resolve target branch commit');
  });
  const startRepository = otherRepository(header);
  const parentOid = header.startSha === '' ? await resolveParent() : header.startSha;
  if (parentOid === undefined || parentOid === targetOid) return { targetOid, parentOid, repository };
  if ((await commitOf(repository, Buffer.from(parentOid), signal)) !== undefined) return { targetOid, parentOid, repository };
  if (startRepository === undefined)
    throw new GitalyError('INTERNAL', 'fetch missing commit: lookup parent commit: reference not found');
  await fetchParent(await open(startRepository, 'fetch missing commit: fetch parent commit'), parts.target, parentOid);
  return { targetOid, parentOid, repository: parts.target };

  async function resolveParent(): Promise<string | undefined> {
    if (startRepository === undefined && header.startBranchName.length === 0) return targetOid;
    const remote = startRepository && (await open(startRepository, 'resolve parent commit: remote repository'));
    const hasBranches = await (remote ? remotely(remote) : repository.refs.hasBranches({ signal }));
    // A fresh fork that begins in itself, behind a proxy that hides that it does.
    if (!hasBranches) return targetOid;
    const start = header.startBranchName.length === 0 ? branch : branchReference(header.startBranchName);
    const revision = Buffer.concat([start, PEEL]);
    const where = remote === undefined ? '*localrepo.Repo' : '*remoterepo.Repo';
    const words = `resolve parent commit: resolving refish ${quote(revision)} in ${where}`;
    const oid = await (remote?.resolveCommit(revision) ??
      commitOf(repository, start, signal).catch((error: unknown) => {
        throw wrap(error, words);
      }));
    if (oid !== undefined) return oid;
    throw new GitalyError('INTERNAL', `${words}: reference not found`);
  }

  /** A repository of which nothing is needed may be anywhere. */
  async function open(remote: RepositoryMessage, words: string): Promise<RemoteRepository> {
    try {
      return await rooms.remotes.open(remote, remoteOptionsOf(context));
    } catch (error) {
      throw wrap(error, words);
    }
  }
}

/** The repository that the request begins in, when it is another one. */
function otherRepository({ repository, startRepository }: UserCommitFilesRequestHeader): RepositoryMessage | undefined {
  const { storageName, relativePath } = startRepository ?? {};
  return storageName === repository?.storageName && relativePath === repository?.relativePath ? undefined : startRepository;
}

async function remotely(repository: RemoteRepository): Promise<boolean> {
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
    const words = error instanceof GitExitError ? `${messageOf(error)}, stderr: ${quote(error.stderr)}` : undefined;
    throw wrap(
      words === undefined ? asGoStatus(error) : new Error(words, { cause: error }),
      'fetch missing commit: fetch parent commit',
    );
  }
}

async function commitOf(repository: Repository, reference: Buffer, signal: AbortSignal): Promise<string | undefined> {
  const revision = Buffer.concat([reference, PEEL]);
  if (revision.includes(0)) throw new Error(`detected null byte in command argument ${quote(revision)}`);
  return (await repository.objects.info(revision, { signal }))?.oid;
}
