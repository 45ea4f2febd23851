import { GitalyError, invalidArgument, messageOf, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, joined } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import { createRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { UnknownServerError } from '../remote/server/gitaly-servers.ts';
import { INTERNAL_URL } from '../remote/server/internal-fetch.ts';
import type { OpenRemote, RemoteRepository } from '../remote/server/remote-repository.ts';
import { removeOrigin } from './clone-into.ts';
import type { CreateFromBundleOptions } from './create-from-bundle.ts';

export interface ForkOptions extends CreateFromBundleOptions {
  readonly openSource: OpenRemote;
  /** Name of the source's storage, for messages. */
  readonly sourceStorage: string;
  /** Full name of the only branch to copy; empty for all branches and tags. */
  readonly reference: Uint8Array;
}

const BRANCHES = Buffer.from('refs/heads/');

/**
 * Creates a repository with the branches and tags of another one, which may lie on another server.
 * Other references are not copied, and the fork does not use the source's pool.
 *
 * @throws {GitalyError} ALREADY_EXISTS; INVALID_ARGUMENT `reference is not a branch`; INTERNAL
 *   `fetching source repo: …`, `checking whether HEAD reference is sane: …`, `HEAD points to
 *   unexpected reference`.
 */
export async function createFork(
  storages: Storages,
  target: RepositoryTarget | undefined,
  options: ForkOptions,
): Promise<void> {
  const { vote, signal } = options;
  const seed = (draft: Repository): Promise<void> => cloneSource(draft, options);
  await createRepository(storages, target, { vote, signal, init: 'none', seed });
}

async function cloneSource(draft: Repository, options: ForkOptions): Promise<void> {
  const { reference, signal } = options;
  const branch = requireBranch(reference);
  const source = await openSource(options);
  const name = branch?.subarray(BRANCHES.length);
  const single = name && [flag('--no-tags'), flag('--single-branch'), joined('--branch', name)];
  const command = gitCommand('clone', {
    options: [flag('--bare'), flag('--quiet'), ...(single ?? [])],
    args: [INTERNAL_URL, draft.path],
  });
  const config = [{ key: 'fetch.fsckObjects', value: 'false' }];
  const clone = { runner: draft.git, command, config, gitProtocol: '' } as const;
  const { failure, refusal } = await source.fetch(clone);
  if (failure !== undefined) throw notCloned(failure, refusal);
  await checkHead(draft, branch, signal);
  await removeOrigin(draft, signal);
}

/**
 * Returns the full name of the branch of a request; `undefined` for none.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `reference is not a branch`.
 */
export function requireBranch(reference: Uint8Array): Buffer | undefined {
  if (reference.length === 0) return undefined;
  const isBranch = BRANCHES.equals(reference.subarray(0, BRANCHES.length));
  if (!isBranch || reference.length === BRANCHES.length) throw invalidArgument('reference is not a branch');
  return Buffer.from(reference);
}

async function openSource({ openSource: open, sourceStorage }: ForkOptions): Promise<RemoteRepository> {
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof UnknownServerError))
      throw wrap(error, 'spawning fetch: extracting Gitaly servers');
    const message = `spawning fetch: no storage info for ${quote(sourceStorage)}`;
    throw invalidArgument(message, { cause: error });
  }
}

/** Describes a failed clone: git's message, and the status of the other server. */
function notCloned(failure: GitExitError, refusal: unknown): GitalyError {
  const stderr = refusal === undefined ? failure.stderr : `${failure.stderr}${messageOf(refusal)}\n`;
  const message = `fetching source repo: ${failure.message}, stderr: ${quote(stderr)}`;
  return new GitalyError('INTERNAL', message, { cause: failure });
}

/** A remote may send any HEAD, and git tolerates most. */
async function checkHead(
  draft: Repository,
  expected: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<void> {
  const head = await draft.refs
    .headTarget({ signal })
    .catch(wrapped('checking whether HEAD reference is sane'));
  if (expected !== undefined && !head.equals(expected))
    throw new GitalyError('INTERNAL', 'HEAD points to unexpected reference');
}
