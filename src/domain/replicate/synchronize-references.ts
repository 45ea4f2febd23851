import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { setDefaultBranch } from '../ref-update/set-default-branch.ts';
import { inRefTransaction } from '../ref-update/update-reference.ts';
import type { RefUpdates } from '../ref-update/voted-updates.ts';
import { fetchVoted } from '../remote/fetch/fetch-voted.ts';
import { INTERNAL_URL } from '../remote/server/internal-fetch.ts';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import type { ReplicateOptions } from './replicate-options.ts';

type SynchronizeOptions = Pick<ReplicateOptions, 'hooks' | 'signal' | 'withDetachedHead'>;

const HEAD = Buffer.from('HEAD');
const CONFIG = [
  { key: 'fetch.negotiationAlgorithm', value: 'skipping' },
  { key: 'fetch.fsckObjects', value: 'false' },
];

/**
 * Gives a repository exactly the references of the source, all at once, and then its HEAD. A HEAD
 * that leads nowhere is not copied. Nothing is fetched if the HEAD of the source is unusable.
 */
export async function synchronizeReferences(
  repository: Repository,
  source: RemoteRepository,
  options: SynchronizeOptions,
): Promise<void> {
  try {
    const head = await headOf(source, options);
    await fetchAll(repository, source, { ...options, oids: 'oid' in head ? [head.oid] : [] });
    if ('oid' in head) await detachHead(repository, head.oid, options);
    else if (head.target !== undefined) await followHead(repository, head.target, options);
  } catch (error) {
    throw wrap(error, 'fetch internal remote');
  }
}

/** The reference that a HEAD names, or the commit of a detached one. */
type Head = { readonly target: Buffer | undefined } | { readonly oid: string };

async function headOf(source: RemoteRepository, { withDetachedHead }: SynchronizeOptions): Promise<Head> {
  try {
    return { target: await source.headTarget() };
  } catch (error) {
    const oid = withDetachedHead ? await source.resolveCommit(HEAD).catch(() => undefined) : undefined;
    if (oid !== undefined) return { oid };
    throw wrap(error, 'getting remote default branch');
  }
}

async function detachHead(repository: Repository, oid: string, options: SynchronizeOptions): Promise<void> {
  const queue = (updates: RefUpdates): Promise<void> => updates.update('HEAD', { newOid: oid });
  await inRefTransaction(repository, { ...options, noDereference: true }, queue).catch(
    wrapped('detaching HEAD on local repo'),
  );
}

async function followHead(
  repository: Repository,
  target: Buffer,
  options: SynchronizeOptions,
): Promise<void> {
  const { signal } = options;
  // The references are the source's now.
  if ((await repository.refs.resolve(target, { signal })) === undefined) return;
  const current = await repository.refs.headTarget({ signal }).catch(() => undefined);
  if (current?.equals(target) === true) return;
  await setDefaultBranch(repository, target, options).catch(wrapped('setting default branch on local repo'));
}

/** @param options.oids also fetched: a detached HEAD may lead to a commit that no reference has. */
async function fetchAll(
  repository: Repository,
  source: RemoteRepository,
  options: SynchronizeOptions & { readonly oids: readonly string[] },
): Promise<void> {
  const command = gitCommand('fetch', {
    options: ['--prune', '--no-tags', '--atomic', '--no-write-fetch-head', '--quiet'].map(flag),
    args: [INTERNAL_URL, '+refs/*:refs/*', ...options.oids],
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
