import { GitalyError, type StatusCode } from '#base/gitaly-error';
import type { VoterState } from '../transactions/subtransaction.ts';

/** Label `reason` of `gitaly_praefect_tx_replications_total`. */
export type ReplicaReason =
  | 'updated'
  | 'outdated'
  | 'no-votes'
  | 'primary-not-committed'
  | 'node-error-status'
  | 'node-not-committed';

/** Errors and votes of the nodes of a write. */
export interface WriteResult {
  readonly primary: string;
  readonly secondaries: readonly string[];
  readonly replicationTargets: readonly string[];
  /** Errors by storage; no entry for a node that succeeded. */
  readonly errors: ReadonlyMap<string, unknown>;
  readonly transaction: {
    readonly subtransactions: number;
    readonly states: ReadonlyMap<string, VoterState>;
    /** Reports whether the primary has voted at all. */
    readonly primaryVoted: boolean;
  };
}

/** Which replicas have a write. */
export interface WriteOutcome {
  /** False if nothing was written anywhere. */
  readonly isWritten: boolean;
  /** Storages whose replica has it, without the primary's. */
  readonly updated: readonly string[];
  /** Storages whose replica does not have it. */
  readonly outdated: readonly string[];
  readonly reasons: ReadonlyMap<ReplicaReason, readonly string[]>;
}

const INTERRUPTIONS: ReadonlySet<StatusCode> = new Set(['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE']);
const NOTHING: WriteOutcome = { isWritten: false, updated: [], outdated: [], reasons: new Map() };

/**
 * Decides from errors and votes which replicas have the write: those of nodes that committed the
 * last vote and ended as the primary did. The primary has it if it may have written anything.
 */
export function outcomeOf(result: WriteResult): WriteOutcome {
  const { errors, primary, replicationTargets, secondaries, transaction } = result;
  if (transaction.subtransactions === 0 && errors.has(primary)) return NOTHING;
  if (transaction.subtransactions === 1 && !transaction.primaryVoted) return NOTHING;

  const reasons = new Map<ReplicaReason, string[]>();
  const note = (storage: string, reason: ReplicaReason): void => {
    const noted = reasons.get(reason) ?? [];
    noted.push(storage);
    reasons.set(reason, noted);
  };
  for (const storage of replicationTargets) note(storage, 'outdated');
  for (const storage of secondaries) note(storage, reasonFor(storage, result));
  const updated = reasons.get('updated') ?? [];
  const outdated = [...replicationTargets, ...secondaries].filter((storage) => !updated.includes(storage));
  return { isWritten: true, updated, outdated, reasons };
}

function reasonFor(storage: string, { errors, primary, transaction }: WriteResult): ReplicaReason {
  if (transaction.subtransactions === 0) return 'no-votes';
  if (transaction.states.get(primary) !== 'committed') return 'primary-not-committed';
  const error = errors.get(primary);
  if (isInterruption(error) || !isSameStatus(errors.get(storage), error)) return 'node-error-status';
  return transaction.states.get(storage) === 'committed' ? 'updated' : 'node-not-committed';
}

/**
 * Reports whether a call was ended from outside. Then each node may have stopped at another point,
 * before or after the change, although all report the same error.
 */
function isInterruption(error: unknown): boolean {
  return error instanceof GitalyError && INTERRUPTIONS.has(error.code);
}

function isSameStatus(one: unknown, other: unknown): boolean {
  if (one instanceof GitalyError && other instanceof GitalyError)
    return one.code === other.code && one.message === other.message;
  return one === undefined && other === undefined; // others may mean anything
}
