import { GitalyError, wrap } from '#base/gitaly-error';
import { flag } from '#git/command/git-command';
import { type CreateRepositoryOptions, createRepository } from '#storage/lifecycle/create-repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { spoolBundle } from '../bundle/spool-bundle.ts';
import { cloneInto, removeOrigin } from './clone-into.ts';

/** Votes and abort of a call that creates a repository. */
export type CreateOptions = Pick<CreateRepositoryOptions, 'vote'> & { readonly signal: AbortSignal };

/**
 * Creates a repository with all references of a bundle, whole or not at all.
 *
 * @throws {GitalyError} ALREADY_EXISTS; INTERNAL `cloning bundle: waiting for git-clone: exit
 *   status 128` for bytes that are no bundle, or one that needs objects of another repository.
 */
export async function createFromBundle(
  storages: Storages,
  target: RepositoryTarget | undefined,
  pieces: AsyncIterable<Uint8Array>,
  options: CreateOptions,
): Promise<void> {
  await createRepository(storages, target, {
    ...options,
    init: 'none',
    seed: async (draft) => {
      await using bundle = await spoolBundle(draft.storage, pieces);
      if (!bundle.isBundle) throw clonedBadly('exit status 128', 'fatal: the data is no bundle');
      const { failure } = await cloneInto(draft, bundle.path, {
        options: [flag('--mirror')],
        config: [{ key: 'transfer.fsckObjects', value: 'false' }],
        signal: options.signal,
      });
      if (failure !== undefined) throw clonedBadly(failure.message, failure.stderr, failure);
      await removeOrigin(draft, options.signal);
    },
  });
}

function clonedBadly(exit: string, stderr: string, cause?: unknown): GitalyError {
  const error = new GitalyError('INTERNAL', exit, { cause, metadata: { stderr } });
  return wrap(error, 'cloning bundle: waiting for git-clone');
}
