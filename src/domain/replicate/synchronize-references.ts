import { GitalyError, wrap } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { INTERNAL_URL } from '../remote/server/internal-fetch.ts';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface SynchronizeOptions {
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

const CONFIG = [
  { key: 'fetch.negotiationAlgorithm', value: 'skipping' },
  { key: 'fetch.fsckObjects', value: 'false' },
];

/**
 * Gives a repository exactly the references of the source, all at once, and then its HEAD. A HEAD
 * that leads nowhere is not copied.
 */
export async function synchronizeReferences(
  repository: Repository,
  source: RemoteRepository,
  options: SynchronizeOptions,
): Promise<void> {
  await fetchAll(repository, source, options).catch((error: unknown) => {
    throw wrap(error, 'fetch internal remote');
  });
  const head = await source.headTarget().catch((error: unknown) => {
    throw wrap(error, 'getting remote default branch');
  });
  const { signal } = options;
  // The references are the source's now.
  if (head === undefined || (await repository.refs.resolve(head, { signal })) === undefined) return;
  const current = await repository.refs.headTarget({ signal }).catch(() => undefined);
  if (current?.equals(head) === true) return;
  await setDefaultBranch(repository, head, options).catch((error: unknown) => {
    throw wrap(error, 'setting default branch');
  });
}

async function fetchAll(
  repository: Repository,
  source: RemoteRepository,
  options: SynchronizeOptions,
): Promise<void> {
  const command = gitCommand('fetch', {
    options: ['--prune', '--no-tags', '--atomic', '--no-write-fetch-head', '--quiet'].map(flag),
    args: [INTERNAL_URL, '+refs/*:refs/*'],
  });
  const fetch = { command, config: CONFIG, gitProtocol: 'version=2' } as const;
  const failure = await fetchVoted(
    repository,
    async (runner) => (await source.fetch({ ...fetch, runner })).failure,
    options,
  );
  if (failure === undefined) return;
  throw new GitalyError('INTERNAL', failure.message, {
    cause: failure,
    metadata: { stderr: failure.stderr },
  });
}
