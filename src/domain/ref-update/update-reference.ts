import type { RefName } from '#git/refs/ref-reader';
import { type RefChange, RefTransaction } from '#git/refs/ref-transaction';
import type { Repository } from '#storage/repository';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';

export interface RefUpdateOptions {
  /** How the change is voted on; `undefined` when it is not. */
  readonly hooks: TransactionHooks | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Changes one reference without asking anybody but the cluster: no access check, no custom hooks. A symbolic reference stays,
 * what it leads to changes.
 *
 * @throws {RefUpdateError} {GitExitError}
 */
export async function updateReference(
  repository: Repository,
  name: RefName,
  change: RefChange,
  options: RefUpdateOptions,
): Promise<void> {
  await inRefTransaction(repository, { ...options, noDereference: false }, (transaction) => transaction.update(name, change));
}

/** Runs an atomic change of references with its hooks answered. */
export async function inRefTransaction(
  repository: Repository,
  { hooks, signal, noDereference }: RefUpdateOptions & { readonly noDereference: boolean },
  queue: (transaction: RefTransaction) => Promise<void>,
): Promise<void> {
  await using transaction = await RefTransaction.start(repository.git, repository, {
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
