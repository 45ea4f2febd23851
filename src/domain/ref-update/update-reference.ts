import type { UncheckedRefName } from '#git/refs/ref-name';
import { type RefChange, RefTransaction } from '#git/refs/update/ref-transaction';
import type { Repository } from '#storage/repository';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface RefUpdateOptions {
  /** Hooks for the vote of the cluster; `undefined` without a cluster. */
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

/** Runs an atomic change of references, and serves its hooks. */
export async function inRefTransaction(
  repository: Repository,
  { hooks, signal, noDereference }: RefUpdateOptions & { readonly noDereference: boolean },
  queue: (transaction: RefTransaction) => Promise<void>,
): Promise<void> {
  await using transaction = await RefTransaction.start(repository, {
    hooks: hooks?.setup ?? 'disabled',
    extraPipes: hooks?.extraPipes,
    noDereference,
    signal,
  });
  const serving = hooks?.serve(transaction.process);
  try {
    await queue(transaction);
    await transaction.commit();
  } finally {
    for (const pipe of transaction.process.extra) pipe.destroy();
    await serving;
  }
}
