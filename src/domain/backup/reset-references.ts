import type { Repository } from '#storage/repository';
import { inRefTransaction } from '../ref-update/update-reference.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import type { BackedUpReference } from './reference-lines.ts';

export interface ResetOptions {
  readonly hooks: TransactionHooks | undefined;
  readonly signal: AbortSignal;
}

/** Changes that make the references of a repository those of a backup. */
export interface ReferenceChanges {
  /** Names that the backup does not have. */
  readonly removed: readonly Buffer[];
  /** Those that are missing, or different. */
  readonly changed: readonly BackedUpReference[];
}

/** Compares the references of a repository with those of a backup, HEAD apart. */
export async function compareReferences(
  repository: Repository,
  wanted: readonly BackedUpReference[],
  signal: AbortSignal,
): Promise<ReferenceChanges> {
  const left = new Map(wanted.map((reference) => [reference.name.toString('latin1'), reference]));
  left.delete('HEAD');
  const removed: Buffer[] = [];
  for await (const batch of repository.refs.list({ patterns: [Buffer.from('refs/')] }, { signal }))
    for (const { name, oid } of batch) {
      const key = name.toString('latin1');
      const reference = left.get(key);
      if (reference === undefined) removed.push(name);
      else if (reference.oid === oid) left.delete(key);
    }
  return { removed, changed: [...left.values()] };
}

/** Applies changes, all or none. @throws {RefUpdateError} for example when an object is missing. */
export async function applyChanges(
  repository: Repository,
  { removed, changed }: ReferenceChanges,
  { hooks, signal }: ResetOptions,
): Promise<void> {
  if (removed.length + changed.length === 0) return;
  const zero = '0'.repeat(repository.objectFormat === 'sha256' ? 64 : 40);
  // Symbolic references are not followed: the backup has what they led to.
  await inRefTransaction(repository, { hooks, signal, noDereference: true }, async (transaction) => {
    for (const name of removed) await transaction.update(name, { newOid: zero });
    for (const { name, oid } of changed) await transaction.update(name, { newOid: oid });
  });
}
