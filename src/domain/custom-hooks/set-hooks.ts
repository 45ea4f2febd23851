import { createHash } from 'node:crypto';
import { renameSync } from 'node:fs';
import { syncPath } from '#base/files/sync-path';
import { codeOf, wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { isError } from '#base/is-error';
import { TarFormatError } from '#base/tar/read-tar';
import { syncTree } from '#storage/lifecycle/sync-tree';
import type { Vote, VotePhase } from '#storage/lifecycle/voter';
import { LockTakenError, lockRepository } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { keepSettings } from '../settings/kept-settings.ts';
import { extractHooks } from './extract-hooks.ts';
import { hashTree } from './hash-tree.ts';

export interface SetHooksOptions {
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
  /** Keeps description and rules of the repository if the archive has none. Default: only its are left. */
  readonly keepsSettings?: boolean;
}

/** Directory of a repository with its own hooks. */
export const HOOKS_NAME = 'custom_hooks';
const PREPARING = createHash('sha1').update('preparing set custom hooks').digest();
/** How Gitaly reports any problem of an archive, which the program tar finds there. */
const TAR_FAILED = 'waiting for tar command completion: exit status 2';

/**
 * Replaces the hooks of a repository by those of a tar archive, at once: a reader sees all old or
 * all new ones, and after a failure the old ones are in place. An empty stream removes all hooks.
 *
 * @throws {GitalyError} INTERNAL `locking hooks: file already locked`, `extracting hooks: …`.
 */
export async function setHooks(
  repository: Repository,
  archive: AsyncIterable<Uint8Array>,
  { keepsSettings = false, vote, signal }: SetHooksOptions,
): Promise<void> {
  const hooks = `${repository.path}/${HOOKS_NAME}`;
  await castVote(vote, 'preparing', PREPARING);
  await using _lock = await lockRepository(repository.storage, hooks).catch((error: unknown) => {
    throw error instanceof LockTakenError ? wrap(error, 'locking hooks') : error;
  });
  await using temp = await createTempDirectory(repository.storage, 'hooks-');
  const unpacked = await extractHooks(archive, temp.path, { signal }).catch((error: unknown) => {
    throw extractionFailure(error, signal);
  });
  if (keepsSettings) await keepSettings(repository.path, unpacked);
  signal.throwIfAborted();
  const hash = await hashTree(unpacked);
  await castVote(vote, 'prepared', hash);
  await syncTree(temp.path);
  swap(unpacked, hooks, `${temp.path}/previous`);
  await syncPath(repository.path);
  await castVote(vote, 'committed', hash);
}

/** Checks that an archive of hooks can be set. @throws {GitalyError} INTERNAL `extracting hooks: …`. */
export async function tryHooks(
  { storage }: Repository,
  archive: AsyncIterable<Uint8Array>,
  { signal }: Pick<SetHooksOptions, 'signal'>,
): Promise<void> {
  await using temp = await createTempDirectory(storage, 'hooks-');
  await extractHooks(archive, temp.path, { signal }).catch((error: unknown) => {
    throw extractionFailure(error, signal);
  });
}

function extractionFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return error;
  const isArchive = error instanceof TarFormatError || codeOf(error) === 'INVALID_ARGUMENT';
  const reason = isArchive ? new Error(TAR_FAILED, { cause: error }) : error;
  return wrap(reason, 'extracting hooks', 'INTERNAL', {
    metadata: { reason: isError(error) ? error.message : String(error) },
  });
}

/**
 * Moves the new hooks into place. If that fails, the old ones are moved back. In one turn of the
 * event loop, because a push that looks for rules and hooks in between finds none.
 */
function swap(unpacked: string, hooks: string, previous: string): void {
  let hadHooks = true;
  try {
    renameSync(hooks, previous);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    hadHooks = false;
  }
  try {
    renameSync(unpacked, hooks);
  } catch (error) {
    if (hadHooks) renameSync(previous, hooks);
    throw error;
  }
}

async function castVote(vote: Vote | undefined, phase: VotePhase, hash: Uint8Array): Promise<void> {
  await vote?.(phase, hash).catch(wrapped(`voting on custom hooks (${phase})`, 'ABORTED'));
}
