import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { HEAD } from '#git/names/ref-name';
import type { Repository } from '#storage/repository';
import { inRefTransaction } from '../ref-update/update-reference.ts';
import type { TransactionHooks } from '../transactions/transaction-hooks.ts';
import type { BackedUpReference } from './reference-lines.ts';

/** Changes that make the references of a repository those of a backup. */
export interface ReferenceChanges {
  /** Names that the backup does not have. */
  readonly removed: readonly Buffer[];
  /** Those that are missing, or different. */
  readonly changed: readonly BackedUpReference[];
}

/**
 * Compares the references of a repository with those of a backup, HEAD apart. Both are read side by
 * side in the order of names, so that very many neither block the event loop nor need a table.
 */
export async function compareReferences(
  repository: Repository,
  wanted: readonly BackedUpReference[],
  signal: AbortSignal,
): Promise<ReferenceChanges> {
  const left = await inOrder(wanted, signal);
  const removed: Buffer[] = [];
  const changed: BackedUpReference[] = [];
  const slice = new LoopSlice();
  let at = 0;
  for await (const batch of repository.refs.list({ patterns: [Buffer.from('refs/')] }, { signal }))
    for (const { name, oid } of batch) {
      let next = left[at];
      for (; next !== undefined && next.name.compare(name) < 0; next = left[++at]) changed.push(next);
      if (next?.name.equals(name) !== true) removed.push(name);
      else {
        if (next.oid !== oid) changed.push(next);
        at++;
      }
      await slice.pause(signal);
    }
  for (const reference of left.slice(at)) changed.push(reference);
  return { removed, changed };
}

/**
 * Returns references in the order of names, without HEAD. Of several with one name, the last is
 * used.
 */
async function inOrder(
  references: readonly BackedUpReference[],
  signal: AbortSignal,
): Promise<readonly BackedUpReference[]> {
  const kept: BackedUpReference[] = [];
  let isOrdered = true;
  await eachInTurn(
    references,
    (reference) => {
      if (reference.name.equals(HEAD)) return;
      const last = kept.at(-1);
      if (last !== undefined && last.name.compare(reference.name) >= 0) isOrdered = false;
      kept.push(reference);
    },
    signal,
  );
  if (isOrdered) return kept;
  const sorted = await sortInTurns(kept, (one, other) => one.name.compare(other.name), signal);
  return sorted.filter(({ name }, index) => sorted[index + 1]?.name.equals(name) !== true);
}

/** Applies changes, all or none. @throws {RefUpdateError} for example when an object is missing. */
export async function applyChanges(
  repository: Repository,
  { removed, changed }: ReferenceChanges,
  { hooks, signal }: { readonly hooks: TransactionHooks | undefined; readonly signal: AbortSignal },
): Promise<void> {
  if (removed.length + changed.length === 0) return;
  const zero = '0'.repeat(repository.objectFormat === 'sha256' ? 64 : 40);
  // Symbolic references are not followed: the backup contains their targets.
  await inRefTransaction(repository, { hooks, signal, noDereference: true }, async (transaction) => {
    const slice = new LoopSlice();
    for (const name of removed) {
      await slice.pause(signal);
      await transaction.update(name, { newOid: zero });
    }
    for (const { name, oid } of changed) {
      await slice.pause(signal);
      await transaction.update(name, { newOid: oid });
    }
  });
}
