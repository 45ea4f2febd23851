import type { UncheckedRefName } from '#git/names/ref-name';
import { type RefChange, RefTransaction } from '#git/refs/update/ref-transaction';
import type { Repository } from '#storage/repository';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import { type RefUpdates, VotedUpdates } from './voted-updates.ts';

export interface RefUpdateOptions {
  /** For the vote of the cluster; `undefined` without a cluster. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes one reference without access check and custom hooks; only the cluster votes. If the
 * reference is symbolic, the one that it leads to changes.
 *
 * @throws {RefUpdateError} {GitExitError}
 */
export async function updateReference(
  repository: Repository,
  name: UncheckedRefName,
  change: RefChange,
  options: RefUpdateOptions,
): Promise<void> {
  await inRefTransaction(repository, { ...options, noDereference: false }, (transaction) =>
    transaction.update(name, change),
  );
}

/** Runs an atomic change of references. */
export async function inRefTransaction(
  repository: Repository,
  { hooks, signal, noDereference }: RefUpdateOptions & { readonly noDereference: boolean },
  queue: (updates: RefUpdates) => Promise<void>,
): Promise<void> {
  await using transaction = await RefTransaction.start(repository, { noDereference, signal });
  const updates =
    hooks === undefined
      ? transaction
      : new VotedUpdates(repository, transaction, { ...hooks, noDereference });
  await queue(updates);
  await updates.commit();
}
