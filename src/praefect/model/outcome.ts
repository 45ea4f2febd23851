import { codeOf, GitalyError, type StatusCode } from '#base/gitaly-error';

/** State of a voter in a subtransaction. All but `undecided` are final. */
export type VoterState = 'undecided' | 'committed' | 'failed' | 'canceled' | 'stopped';

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
    /** Reports whether the primary has ended the votes, because a hook has refused or failed. */
    readonly isStopped: boolean;
    /** Reports whether a node has voted on a change, and not only at hooks or before locks. */
    readonly hasChangeVotes: boolean;
    /** The number of votes after which each node was allowed to commit. */
    readonly commits: ReadonlyMap<string, number>;
  };
}

/** Which replicas have a write. */
export interface WriteOutcome {
  /** False if nothing was written anywhere. */
  readonly isWritten: boolean;
  /** Storages other than the primary whose replica has the write. */
  readonly updated: readonly string[];
  /**
   * Groups of storages whose replicas may replace the primary's as the current state, the best
   * first. Replicas of one group are equal. Empty unless the primary was interrupted.
   */
  readonly successors: readonly (readonly string[])[];
  /** Reports whether the first successors have the whole write. */
  readonly isCompleted: boolean;
  /** Storages whose replica lacks the write. */
  readonly outdated: readonly string[];
  readonly reasons: ReadonlyMap<ReplicaReason, readonly string[]>;
}

const INTERRUPTIONS: ReadonlySet<StatusCode> = new Set(['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE']);
const NOTHING: WriteOutcome = {
  isWritten: false,
  updated: [],
  successors: [],
  isCompleted: false,
  outdated: [],
  reasons: new Map(),
};

/**
 * Decides from errors and votes which replicas have the write: those of nodes that committed the
 * last vote and ended as the primary did. The primary has it if it may have written anything.
 *
 * Nothing was written if the primary refused the change before any node voted on it. Gitaly's
 * Praefect records such a write, after hooks have voted, as one of the primary alone.
 *
 * Nothing was written if the primary was interrupted before it was allowed to commit a vote:
 * without its vote, no other node was allowed to.
 */
export function outcomeOf(result: WriteResult): WriteOutcome {
  const { errors, primary, replicationTargets, secondaries, transaction } = result;
  if (isRefused(result) && !transaction.hasChangeVotes) return NOTHING;
  if (transaction.subtransactions === 1 && !transaction.primaryVoted) return NOTHING;
  const isInterrupted = isInterruption(errors.get(primary));
  if (isInterrupted && !(transaction.commits.get(primary) ?? 0)) return NOTHING;

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
  const completed = isInterrupted ? completedOf(result) : [];
  const successors = isInterrupted ? successorsOf(result, completed) : [];
  return { isWritten: true, updated, successors, isCompleted: completed.length > 0, outdated, reasons };
}

/** Reports whether the primary has failed, or has ended the votes itself. */
function isRefused({ errors, primary, transaction }: WriteResult): boolean {
  return errors.has(primary) || transaction.isStopped;
}

/**
 * Returns the replicas that may be recorded as up to date after the primary was interrupted. All of
 * them had the acknowledged writes when the call began; they differ only in this write.
 */
function successorsOf(
  { errors, primary, secondaries, transaction }: WriteResult,
  after: readonly string[],
): readonly (readonly string[])[] {
  // The primary is there, and it had at least as many votes.
  if (codeOf(errors.get(primary)) !== 'UNAVAILABLE') return after.length > 0 ? [after] : [];
  const before = secondaries.filter((node) => !after.includes(node) && !transaction.commits.get(node));
  const unknown = secondaries.filter((node) => !after.includes(node) && !before.includes(node));
  const isReachable = (node: string): boolean => codeOf(errors.get(node)) !== 'UNAVAILABLE';
  // Each of these may have another part of the write.
  const groups = [after, before, ...unknown.map((node) => [node])].filter((group) => group.length > 0);
  return [
    ...groups.filter((group) => group.some(isReachable)),
    ...groups.filter((group) => !group.some(isReachable)),
  ];
}

/** Returns the secondaries that have the whole write, whatever the outcome on the primary is. */
function completedOf({ errors, secondaries, transaction }: WriteResult): readonly string[] {
  return secondaries.filter((node) => !errors.has(node) && transaction.states.get(node) === 'committed');
}

function reasonFor(storage: string, { errors, primary, transaction }: WriteResult): ReplicaReason {
  if (transaction.subtransactions === 0) return 'no-votes';
  if (isStoppedByPrimary({ errors, primary, transaction }))
    return transaction.commits.get(storage) === transaction.commits.get(primary)
      ? 'updated'
      : 'node-not-committed';
  if (transaction.states.get(primary) !== 'committed') return 'primary-not-committed';
  const error = errors.get(primary);
  if (isInterruption(error) || !isSameStatus(errors.get(storage), error)) return 'node-error-status';
  return transaction.states.get(storage) === 'committed' ? 'updated' : 'node-not-committed';
}

/**
 * Reports whether the primary ended the votes itself and succeeded: a hook has refused the change,
 * or has failed after it. Nodes with the same votes have the same references, although their calls
 * ended with an error.
 */
function isStoppedByPrimary({
  errors,
  primary,
  transaction,
}: Pick<WriteResult, 'errors' | 'primary' | 'transaction'>): boolean {
  return !errors.has(primary) && transaction.states.get(primary) === 'stopped';
}

/**
 * Reports whether only a minority of the nodes that voted would have an acknowledged write, because
 * the others failed after their votes.
 */
export function isMinority(result: WriteResult, { updated }: WriteOutcome): boolean {
  const { secondaries, transaction } = result;
  if (transaction.subtransactions === 0 || secondaries.length < 2) return false;
  // Each of its votes had a majority.
  if (isStoppedByPrimary(result)) return false;
  return updated.length < Math.ceil(secondaries.length / 2);
}

/**
 * Reports whether a call was ended from outside. Then each node may have stopped at another point,
 * before or after the change, although all report the same error.
 */
export function isInterruption(error: unknown): boolean {
  return error instanceof GitalyError && INTERRUPTIONS.has(error.code);
}

function isSameStatus(one: unknown, other: unknown): boolean {
  if (one instanceof GitalyError && other instanceof GitalyError)
    return one.code === other.code && one.message === other.message;
  return one === undefined && other === undefined; // others may mean anything
}
