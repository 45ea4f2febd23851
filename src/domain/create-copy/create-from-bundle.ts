import { open } from 'node:fs/promises';
import { GitalyError, wrap } from '#base/gitaly-error';
import { flag } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { type CreateRepositoryOptions, createRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { BundleHeader } from '../bundle/bundle-header.ts';
import { type OpenedBundle, openBundle } from '../bundle/open-bundle.ts';
import { spoolBundle } from '../bundle/spool-bundle.ts';
import type { RecordedResult } from '../transactions/run-recorded.ts';
import { cloneInto, removeOrigin } from './clone-into.ts';
import { type SelfContainedBundle, unpackBundle } from './unpack-bundle.ts';

/** Votes and abort of a call that creates a repository. */
export type CreateFromBundleOptions = Pick<CreateRepositoryOptions, 'vote'> & {
  readonly signal: AbortSignal;
};

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
  options: CreateFromBundleOptions,
): Promise<void> {
  await createRepository(storages, target, {
    ...options,
    init: 'none',
    seed: async (draft) => {
      const { failure } = await cloneBundle(draft, await openBundle(pieces), options.signal);
      if (failure !== undefined) throw clonedBadly(failure.message, failure.stderr, failure);
      await removeOrigin(draft, options.signal);
    },
  });
}

async function cloneBundle(
  draft: Repository,
  { head, header, isBundle, rest }: OpenedBundle,
  signal: AbortSignal,
): Promise<RecordedResult> {
  if (!isBundle) throw clonedBadly('exit status 128', 'fatal: the data is no bundle');
  if (header?.isSelfContained === true) return await unpack(draft, { header, pack: rest }, signal);
  await using bundle = await spoolBundle(draft.storage, whole(head, rest));
  if (!bundle.hasHeader) throw clonedBadly('exit status 128', 'fatal: the bundle is cut off in its header');
  await using file = await open(bundle.path);
  const spooled = await BundleHeader.read(file, bundle.headerBytes);
  if (spooled?.isSelfContained === true) {
    const pack = file.createReadStream({ start: bundle.headerBytes, autoClose: false });
    return await unpack(draft, { header: spooled, pack }, signal);
  }
  return await cloneInto(draft, bundle.path, {
    options: [flag('--mirror')],
    config: [{ key: 'transfer.fsckObjects', value: 'false' }],
    signal,
  });
}

async function unpack(
  draft: Repository,
  bundle: SelfContainedBundle,
  signal: AbortSignal,
): Promise<RecordedResult> {
  try {
    return await unpackBundle(draft, bundle, signal);
  } catch (error) {
    if (error instanceof GitExitError) return { failure: error, stdout: '' };
    throw error;
  }
}

async function* whole(head: Buffer, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

function clonedBadly(exit: string, stderr: string, cause?: unknown): GitalyError {
  const error = new GitalyError('INTERNAL', exit, { cause, metadata: { stderr } });
  return wrap(error, 'cloning bundle: waiting for git-clone');
}
