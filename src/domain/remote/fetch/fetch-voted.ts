import { LoopSlice } from '#base/async/loop-turns';
import { inRefTransaction } from '#domain/ref-update/update-reference';
import { commitIdOf } from '#domain/revisions/commit-id-of';
import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import { GitExitError } from '#git/command/process/exit-error';
import { ZERO_OID } from '#git/names/object-id';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { Repository } from '#storage/repository';
import { type FetchedChanges, type FetchedReference, FetchStaging } from './fetch-staging.ts';

export interface VotedFetch {
  /** For the vote of the cluster; `undefined` without a cluster. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
  /**
   * Returns names in the order in which git changes them; the nodes vote on it. Default: sorted, as
   * servers list them.
   */
  readonly order?: () => Promise<readonly Buffer[]>;
  /** Fetches to a staging repository even without a cluster. */
  readonly isStaged?: boolean;
}

/**
 * Changes references by a `git fetch --atomic` that is forced for all of them. In a cluster git
 * fetches to a staging repository, and the references change afterwards: with the votes that git's
 * hook would give, but without processes for them.
 *
 * @param fetch runs git in the repository, and returns its failure.
 * @returns the failure of git; `undefined` if all references have changed.
 */
export async function fetchVoted(
  repository: Repository,
  fetch: (into: Repository) => Promise<GitExitError | undefined>,
  { hooks, signal, order, isStaged = false }: VotedFetch,
): Promise<GitExitError | undefined> {
  if (hooks === undefined && !isStaged) return await fetch(repository);
  await using staging = await FetchStaging.create(repository, signal);
  const failure = await fetch(staging.repository);
  if (failure !== undefined) return failure;
  const changes = await staging.changes(signal);
  if (changes.removed.length === 0 && changes.updated.length === 0) return undefined;
  const names = hooks === undefined ? undefined : await order?.();
  const updates = ordered(changes.updated, names ?? []);
  try {
    await change(repository, { ...changes, updated: updates }, { hooks, signal });
    return undefined;
  } catch (error) {
    if (error instanceof GitExitError) return error;
    if (error instanceof RefUpdateError && error.cause instanceof GitExitError) return error.cause;
    throw error;
  }
}

/** Deletes references, then changes others, together and in the same order as git's fetch. */
async function change(
  repository: Repository,
  { removed, updated }: FetchedChanges,
  { hooks, signal }: Pick<VotedFetch, 'hooks' | 'signal'>,
): Promise<void> {
  const zero = ZERO_OID[repository.objectFormat];
  const slice = new LoopSlice();
  await inRefTransaction(repository, { hooks, signal, noDereference: false }, async (updates) => {
    for (const name of removed) await updates.update(name, { newOid: zero });
    for (const reference of updated) {
      await slice.pause();
      const oldOid = (await checksOldValue(repository, reference, signal)) ? reference.oldOid : '';
      await updates.update(reference.name, { newOid: reference.newOid, oldOid });
    }
  });
}

/** Reports whether git's fetch passes the old value of a reference on: of branches with commits. */
async function checksOldValue(
  repository: Repository,
  { name, newOid, oldOid }: FetchedReference,
  signal: AbortSignal,
): Promise<boolean> {
  if (oldOid === undefined || name.subarray(0, TAGS.length).equals(TAGS)) return false;
  const commits = await Promise.all([oldOid, newOid].map((oid) => commitIdOf(repository, oid, { signal })));
  return commits.every((commit) => commit !== undefined);
}

const TAGS = Buffer.from('refs/tags/');

function ordered(
  references: readonly FetchedReference[],
  names: readonly Buffer[],
): readonly FetchedReference[] {
  if (names.length === 0) return references;
  const places = new Map(names.map((name, index) => [name.toString('latin1'), index]));
  const placeOf = ({ name }: FetchedReference): number => places.get(name.toString('latin1')) ?? names.length;
  return references.toSorted((one, other) => placeOf(one) - placeOf(other));
}
