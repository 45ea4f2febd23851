import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import { createRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { type OutgoingRemote, prepareOutgoing } from '../remote/url/outgoing-remote.ts';
import { withoutCredentials } from '../remote/url/remote-url.ts';
import { runOutgoing } from '../remote/url/run-outgoing.ts';
import { removeOrigin } from './clone-into.ts';
import type { CreateFromBundleOptions } from './create-from-bundle.ts';

export interface CreateFromUrlOptions extends CreateFromBundleOptions {
  readonly remote: OutgoingRemote;
  /** Copies all references instead of branches and tags. */
  readonly isMirror: boolean;
}

class RemoteNotFoundError extends Error {
  override readonly name = 'RemoteNotFoundError';

  constructor() {
    super('repository at given URL not found');
  }
}

/** Reports whether a failure of {@link createFromUrl} is that there is nothing at the URL. */
export function isRemoteNotFound(error: unknown): boolean {
  for (let current = error; isError(current); current = current.cause)
    if (current instanceof RemoteNotFoundError) return true;
  return false;
}

const NOT_FOUND = /^fatal: repository '.*' not found$/m;

/**
 * Creates a repository with the references and objects of a remote one, whole or not at all.
 *
 * @throws {GitalyError} ALREADY_EXISTS; `starting clone: …`, `cloning repository: …`, of which one
 *   is {@link isRemoteNotFound}.
 */
export async function createFromUrl(
  storages: Storages,
  target: RepositoryTarget | undefined,
  options: CreateFromUrlOptions,
): Promise<void> {
  const { vote, signal } = options;
  const seed = (draft: Repository): Promise<void> => cloneRemote(draft, options);
  await createRepository(storages, target, { vote, signal, init: 'none', seed });
}

async function cloneRemote(
  draft: Repository,
  { remote, isMirror, signal }: CreateFromUrlOptions,
): Promise<void> {
  await using outgoing = await prepareOutgoing(remote, draft.storage).catch(wrapped('starting clone'));
  const command = gitCommand('clone', {
    // Otherwise a local clone would depend on the pool of its source.
    options: [flag('--quiet'), flag(isMirror ? '--mirror' : '--bare'), flag('--dissociate')],
    args: [outgoing.url, draft.path],
  });
  const run = { outgoing, signal, writesTo: draft.path };
  const { failure } = await runOutgoing(draft.git, command, run).catch(wrapped('cloning repository'));
  if (failure !== undefined) throw wrap(notCloned(failure), 'cloning repository');
  await removeOrigin(draft, signal);
}

function notCloned(failure: GitExitError): GitalyError {
  if (NOT_FOUND.test(failure.stderr)) {
    const cause = new RemoteNotFoundError();
    return new GitalyError('NOT_FOUND', cause.message, { cause });
  }
  const stderr = withoutCredentials(failure.stderr);
  return new GitalyError('INTERNAL', failure.message, { cause: failure, metadata: { stderr } });
}
