import { open, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { lockRepository } from '../locks/repository-lock.ts';
import { openOrNone } from '../open-or-none.ts';
import type { Repository } from '../repository.ts';
import type { RepositoryLocation, RepositoryTarget } from '../repository-target.ts';
import type { Storages } from '../storages.ts';
import { createTempDirectory, removeTree } from '../temp-directories.ts';
import { makeDirectories } from './make-directories.ts';
import { existsAlready, placeRepository } from './place-repository.ts';
import { voteOnRemoval } from './remove-repository.ts';
import { isRest, removeRest } from './remove-rest.ts';
import { replaceRepository } from './replaced-repository.ts';
import { repositoryVote } from './repository-vote.ts';
import { requireOutside } from './require-outside.ts';
import { syncTree } from './sync-tree.ts';
import type { Vote, VotePhase } from './voter.ts';

/**
 * Empty file whose modification time is the time of the last full repack. A new repository needs
 * none for a while.
 */
export const FULL_REPACK_TIMESTAMP = '.gitaly-full-repack-timestamp';

type CastVote = (phase: VotePhase) => Promise<void>;

export interface CreateRepositoryOptions {
  readonly objectFormat?: 'sha1' | 'sha256';
  /** Default: the one of the server's configuration. */
  readonly referenceBackend?: 'files' | 'reftable';
  /** Target branch of HEAD, without `refs/heads/`; default `main`. */
  readonly initialBranch?: Uint8Array;
  /**
   * `none`: `seed` creates the directory itself, for instance by `git clone`; the path does not
   * exist.
   */
  readonly init?: 'git-init' | 'none';
  /** Fills the new repository before it becomes visible. */
  readonly seed?: (repository: Repository) => Promise<void>;
  /** Replaces a repository at the path, if there is one, once all nodes agree: it stays until then. */
  readonly replaces?: boolean;
  /** Lets git read configuration and references, as a vote does, of files from elsewhere. */
  readonly isForeign?: boolean;
  readonly vote?: Vote | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Creates a repository in a temporary directory and renames it into place when it is complete, so
 * that a partial one is never visible. A failure leaves nothing behind. Of two concurrent callers
 * one succeeds. Steps and texts are Gitaly's.
 *
 * @throws {GitalyError} ALREADY_EXISTS when the path exists; INVALID_ARGUMENT when it is among the
 *   files of another repository; FAILED_PRECONDITION when the other nodes disagree.
 */
export async function createRepository(
  storages: Storages,
  target: RepositoryTarget | undefined,
  options: CreateRepositoryOptions = {},
): Promise<Repository> {
  const location = locate(storages, target);
  if (options.replaces !== true) await requireAbsent(location.path);
  requireOutside(location);

  await using scratch = await createTempDirectory(location.storage, 'repo');
  const draft = storages.repositoryAt({ ...location, path: scratch.path });
  if (options.init === 'none') await rmdir(scratch.path);
  else await initializeRepository(draft, options);
  await options.seed?.(draft);
  const vote = await voteOn(draft, options);
  await touch(`${scratch.path}/${FULL_REPACK_TIMESTAMP}`);

  options.signal?.throwIfAborted();
  const replaced = await publish(storages, location, scratch.path, { ...options, castVote: vote });
  // The temp cleaner deletes what is left of it later.
  if (replaced !== undefined) await removeTree(replaced).catch(() => undefined);
  return storages.repositoryAt(location);
}

function locate(storages: Storages, target: RepositoryTarget | undefined): RepositoryLocation {
  try {
    return storages.locate(target);
  } catch (error) {
    throw wrap(error, 'locate repository');
  }
}

/** Runs `git init` in a directory that only the caller uses. */
export async function initializeRepository(
  draft: Repository,
  options: Pick<CreateRepositoryOptions, 'initialBranch' | 'objectFormat' | 'referenceBackend' | 'signal'>,
): Promise<void> {
  const command = gitCommand('init', {
    options: [
      flag('--bare'),
      flag('--quiet'),
      ...(options.initialBranch === undefined ? [] : [value('--initial-branch', options.initialBranch)]),
      ...(options.objectFormat === undefined ? [] : [value('--object-format', options.objectFormat)]),
      // An older git has no other.
      ...(options.referenceBackend !== undefined && draft.git.capabilities.reftable
        ? [value('--ref-format', options.referenceBackend)]
        : []),
    ],
    args: [draft.path],
  });
  try {
    await draft.git.run(command, { signal: options.signal });
  } catch (error) {
    if (!(error instanceof GitExitError)) throw wrap(error, 'creating repository');
    throw new GitalyError(
      'INTERNAL',
      `creating repository: ${error.message}, stderr: ${quote(error.stderr)}`,
      { cause: error },
    );
  }
}

/**
 * Votes on the repository in its current state. Without a voter, git is started only if necessary.
 */
async function voteOn(draft: Repository, options: CreateRepositoryOptions): Promise<CastVote> {
  const { vote, isForeign = false, signal } = options;
  if (vote === undefined && !isForeign) return async () => {};
  const hash = await repositoryVote(draft, signal);
  return async (phase) => vote?.(phase, hash);
}

/** @returns the directory with the replaced repository, if there is one. */
async function publish(
  storages: Storages,
  location: RepositoryLocation,
  draftPath: string,
  {
    castVote,
    replaces = false,
    vote,
  }: Pick<CreateRepositoryOptions, 'replaces' | 'vote'> & { readonly castVote: CastVote },
): Promise<string | undefined> {
  await makeDirectories(location.storage, path.posix.dirname(location.path));
  await using _lock = await lockRepository(location.storage, location.path).catch(
    wrapped('locking repository'),
  );
  const { relativePath, storage } = location;
  const existing = replaces ? openOrNone(storages, { storageName: storage.name, relativePath }) : undefined;
  if (existing === undefined) await requireAbsent(location.path);
  await removeRest(location);

  if (existing !== undefined && vote !== undefined) await voteOnRemoval(existing, vote);
  // Both run at the same time. The draft is not removed before both have ended.
  const ends = await Promise.allSettled([prepare(castVote), syncTree(draftPath)]);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  let replaced: string | undefined;
  if (existing === undefined) await placeRepository(storages, location, draftPath);
  else replaced = await replaceRepository(storages, existing, draftPath);
  await castVote('committed').catch(wrapped('committing vote', 'FAILED_PRECONDITION'));
  return replaced;
}

async function prepare(vote: CastVote): Promise<void> {
  try {
    await vote('preparing');
    await vote('prepared');
  } catch (error) {
    throw wrap(error, 'preparatory vote', 'FAILED_PRECONDITION');
  }
}

/**
 * Checks that the path does not exist, or contains only what git left of an earlier repository. A
 * dangling link counts as missing, as in Gitaly; the rename then refuses to replace it.
 */
async function requireAbsent(repositoryPath: string): Promise<void> {
  try {
    await stat(repositoryPath);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    const words = repositoryPath.includes('\0') ? 'invalid argument' : systemErrorText(error);
    throw new GitalyError('INTERNAL', `pre-lock stat: stat ${repositoryPath}: ${words}`, { cause: error });
  }
  if (!(await isRest(repositoryPath))) throw existsAlready();
}

async function touch(file: string): Promise<void> {
  const handle = await open(file, 'a', 0o600);
  await handle.close();
}
