import { GitalyError } from '#base/gitaly-error';
import type { Git } from '#git/command/git';
import { gitCommand } from '#git/command/git-command';
import { isOid } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import { type OutgoingRemote, prepareOutgoing } from '../url/outgoing-remote.ts';
import { runOutgoing } from '../url/run-outgoing.ts';

/** Nothing that is read here needs longer. */
const LIMITS = { maxBytes: Number.POSITIVE_INFINITY, maxMs: 10 * 60 * 1000 };

/**
 * Reports whether there is a repository at a remote whose HEAD leads to a commit. Any failure of
 * git counts as no.
 *
 * @param storage for files with credentials.
 * @throws {GitalyError} for a URL that git must not be given.
 */
export async function existsRemote(
  git: Git,
  storage: Storage,
  remote: OutgoingRemote,
  signal: AbortSignal,
): Promise<boolean> {
  await using outgoing = await prepareOutgoing(remote, storage);
  const command = gitCommand('ls-remote', { args: [outgoing.url, 'HEAD'] });
  const run = { outgoing, signal, limits: LIMITS, writesTo: undefined };
  const { failure, stdout } = await runOutgoing(git, command, run);
  signal.throwIfAborted();
  const [oid = '', name] = stdout.trimEnd().split('\t');
  return failure === undefined && isOid(oid) && name === 'HEAD';
}

const HEAD_BRANCH = /^ *HEAD branch: (.*)$/m;

/**
 * Returns the default branch of a remote without `refs/heads/`.
 *
 * @throws {GitalyError} NOT_FOUND `no remote HEAD found`, `couldn't query the remote HEAD` for one
 *   that several branches could be; INTERNAL `exit status N`.
 */
export async function findRemoteRootRef(
  repository: Repository,
  remote: OutgoingRemote,
  signal: AbortSignal,
): Promise<string> {
  await using outgoing = await prepareOutgoing(remote, repository.storage);
  const command = gitCommand('remote', { action: 'show', args: ['inmemory'] });
  const config = [{ key: 'remote.inmemory.url', value: outgoing.url, secret: true }];
  const run = { outgoing, signal, limits: LIMITS, writesTo: undefined, config };
  const { failure, stdout } = await runOutgoing(repository, command, run);
  signal.throwIfAborted();
  if (failure !== undefined)
    throw new GitalyError('INTERNAL', failure.message, {
      cause: failure,
      metadata: { stderr: failure.stderr },
    });
  const branch = HEAD_BRANCH.exec(stdout)?.[1];
  if (branch === undefined) throw new GitalyError('NOT_FOUND', "couldn't query the remote HEAD");
  if (branch === '(unknown)') throw new GitalyError('NOT_FOUND', 'no remote HEAD found');
  return branch;
}
