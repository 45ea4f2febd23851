import { waitAtMost } from '#base/async/wait-at-most';
import { GitalyError, wrapped } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { ReplicationQueue } from '../model/job.ts';
import {
  isMinority,
  outcomeOf,
  type ReplicaReason,
  type WriteOutcome,
  type WriteResult,
} from '../model/outcome.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { MutatorRoute } from '../routing/routes.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { proxiedCallFields } from './call-fields.ts';
import type { RecordChange } from './transactional-methods.ts';
import type { UnrecordedWrites } from './unrecorded-writes.ts';

/** Limit of the record of a write. */
const RECORD_LIMIT_MS = 30_000;

/** A write that has ended on all its nodes. */
export interface EndedWrite {
  readonly change: RecordChange;
  readonly method: MethodInfo;
  readonly repository: RepositoryKey;
  readonly route: MutatorRoute;
  /** Errors by storage. */
  readonly errors: ReadonlyMap<string, unknown>;
  /** `undefined` if the nodes did not vote. */
  readonly transaction: Transaction | undefined;
  readonly context: HandlerContext;
}

export type RecordWrite = (write: EndedWrite) => Promise<void>;

export interface FinalizerOptions {
  readonly store: ReplicaStore;
  readonly queue: ReplicationQueue;
  readonly logger: Logger;
  /** Gets the writes to existing repositories that the database could not record. */
  readonly unrecorded: Pick<UnrecordedWrites, 'add'>;
  counted(reason: ReplicaReason, nodes: number): void;
  /** Called with each write that was recorded. */
  readonly onRecorded?: (repository: RepositoryKey) => Promise<void>;
  /** Called with each storage that got a job. */
  readonly onQueued?: (virtualStorage: string, target: string) => void;
}

/**
 * Returns the function that records after a write which replicas have it, and queues copies for
 * those that do not. It continues when the client leaves.
 */
export function writeFinalizer(options: FinalizerOptions): RecordWrite {
  return async (write) => {
    await waitAtMost(record(options, write), RECORD_LIMIT_MS, tooLate);
    write.context.signal.throwIfAborted();
  };
}

async function record(options: FinalizerOptions, write: EndedWrite): Promise<void> {
  const { counted, unrecorded } = options;
  const result = resultOf(write);
  const outcome = outcomeOf(result);
  if (!outcome.isWritten) return;
  for (const [reason, storages] of outcome.reasons) counted(reason, storages.length);
  logOutcome(options, write, outcome);
  const complete = (): Promise<void> => completeRecord(options, write, outcome);
  await complete().catch((error) => {
    if (write.change === 'update') unrecorded.add(write.repository, complete, error);
    throw error;
  });
  if (!write.errors.has(result.primary) && isMinority(result, outcome))
    throw new GitalyError(
      'UNAVAILABLE',
      `the write is on ${1 + outcome.updated.length} of ${1 + result.secondaries.length} nodes; ` +
        'the others failed after their votes and get copies',
    );
}

/** Records which replicas have a write, and queues copies to the others. */
async function completeRecord(
  options: FinalizerOptions,
  write: EndedWrite,
  outcome: WriteOutcome,
): Promise<void> {
  const holders = await recordIn(options.store, write, outcome);
  if (holders === undefined) return;
  await options.onRecorded?.(write.repository);
  const lacking = [write.route.primary.storage, ...outcome.updated, ...outcome.outdated].filter(
    (storage) => !holders.includes(storage),
  );
  // Only a cluster without a database passes it on. All nodes rename: there is nothing to copy.
  if (write.change !== 'rename') await queueCopies(options, write, { holders, lacking });
}

/** Records which replicas have a write. Returns these; `undefined` if nothing is to be copied. */
async function recordIn(
  store: ReplicaStore,
  { change, repository, route }: EndedWrite,
  { isCompleted, outdated, successors, updated }: WriteOutcome,
): Promise<readonly string[] | undefined> {
  const { isAssigned, replicaPath, repositoryId } = route;
  const primary = route.primary.storage;
  const facts = { repository, repositoryId, primary, updated, outdated, successors };
  const all = [primary, ...updated, ...outdated];
  const [completed = []] = isCompleted ? successors : [[primary, ...updated]];
  switch (change) {
    case 'create': {
      // Without a record, the files on the disks belong to no repository.
      const isInvisible = successors.length > 0 && replicaPath !== repository.relativePath;
      if (isInvisible && !isCompleted) return undefined;
      const [first = primary, ...others] = completed;
      const lacking = all.filter((storage) => !completed.includes(storage));
      const created = { ...facts, primary: first, updated: others, outdated: lacking };
      await store.recordCreation({ ...created, replicaPath, isAssigned });
      return completed;
    }
    case 'delete':
    case 'rename':
      await store.recordRemoval(repository);
      return completed;
    default:
      return await store.recordWrite(facts).catch(wrapped('increment generation'));
  }
}

/** Queues a copy for each storage that lacks a write, from one that has it. */
async function queueCopies(
  { logger, onQueued, queue }: FinalizerOptions,
  { change, context, repository, route }: EndedWrite,
  { holders, lacking }: { readonly holders: readonly string[]; readonly lacking: readonly string[] },
): Promise<void> {
  const { replicaPath, repositoryId } = route;
  const primary = route.primary.storage;
  for (const target of lacking) {
    const isNew = await queue.enqueue({
      change: change === 'delete' ? 'delete' : 'update',
      repositoryId,
      ...repository,
      replicaPath,
      source: holders.includes(primary) ? primary : (holders[0] ?? primary),
      target,
      correlationId: context.correlationId,
    });
    if (isNew) onQueued?.(repository.virtualStorage, target);
    else
      logger.info(
        { ...proxiedCallFields(context), ...repository, target },
        'replication job is already queued',
      );
  }
}

function logOutcome(
  { logger }: FinalizerOptions,
  { change, context, method, route, transaction }: EndedWrite,
  { outdated, reasons, successors, updated }: WriteOutcome,
): void {
  const fields = proxiedCallFields(context);
  const primary = route.primary.storage;
  if (transaction !== undefined)
    logger.info(
      {
        ...fields,
        'transaction.primary': primary,
        'transaction.secondaries': Object.fromEntries(reasons),
        ...(successors.length > 0 && { 'transaction.successors': successors }),
      },
      'transactional node states',
    );
  logger.info(
    {
      ...fields,
      'replication.cause': method.path,
      'replication.change': change,
      'replication.primary': primary,
      ...(updated.length > 0 && { 'replication.updated': updated }),
      ...(change !== 'rename' && outdated.length > 0 && { 'replication.outdated': outdated }),
    },
    'queueing replication jobs',
  );
}

function tooLate(): never {
  throw new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded');
}

function resultOf({ errors, route, transaction }: EndedWrite): WriteResult {
  const primary = route.primary.storage;
  return {
    primary,
    secondaries: route.secondaries.map(({ storage }) => storage),
    replicationTargets: route.replicationTargets,
    errors,
    transaction: {
      subtransactions: transaction?.subtransactions ?? 0,
      states: transaction?.states ?? new Map(),
      primaryVoted: transaction?.hasVoted(primary) ?? false,
      isStopped: transaction?.isStopped ?? false,
      hasChangeVotes: transaction?.hasChangeVotes ?? false,
      commits: transaction?.commits ?? new Map(),
    },
  };
}
