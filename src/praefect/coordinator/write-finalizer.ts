import { GitalyError, wrap } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { ReplicationQueue } from '../replication/job.ts';
import type { MutatorRoute, RepositoryKey } from '../routing/routes.ts';
import type { ReplicaStore } from '../store/replica-store.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { proxiedCallFields } from './call-fields.ts';
import { outcomeOf, type ReplicaReason, type WriteOutcome } from './outcome.ts';
import type { Change } from './transactional-methods.ts';

/** Limit of the record of a write. */
const RECORD_LIMIT_MS = 30_000;

/** A write that has ended on all its nodes. */
export interface EndedWrite {
  readonly change: Change;
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

export interface FinalizerParts {
  readonly store: ReplicaStore;
  readonly queue: ReplicationQueue;
  readonly logger: Logger;
  counted(reason: ReplicaReason, nodes: number): void;
  /** Called with each write that was recorded. */
  readonly onRecorded?: (repository: RepositoryKey) => void;
  /** Called with each storage that got a job. */
  readonly onQueued?: (virtualStorage: string, target: string) => void;
}

/**
 * Returns the function that records after a write which replicas have it, and queues copies for
 * those that do not. It goes on without the client.
 */
export function writeFinalizer(parts: FinalizerParts): RecordWrite {
  return async (write) => {
    await limited(record(parts, write));
    write.context.signal.throwIfAborted();
  };
}

async function record(parts: FinalizerParts, write: EndedWrite): Promise<void> {
  const { counted, logger, onQueued, onRecorded, queue, store } = parts;
  const { change, context, method, repository, route } = write;
  const outcome = outcomeFor(write);
  if (!outcome.isWritten) return;
  const fields = proxiedCallFields(context);
  for (const [reason, storages] of outcome.reasons) counted(reason, storages.length);
  const { updated } = outcome;
  // Only a cluster without a database passes it on. All nodes rename: there is nothing to copy.
  const outdated = change === 'rename' ? [] : outcome.outdated;
  const { repositoryId, replicaPath } = route;
  const primary = route.primary.storage;
  if (write.transaction !== undefined)
    logger.info(
      {
        ...fields,
        'transaction.primary': primary,
        'transaction.secondaries': Object.fromEntries(outcome.reasons),
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
      ...(outdated.length > 0 && { 'replication.outdated': outdated }),
    },
    'queueing replication jobs',
  );
  const facts = { repository, repositoryId, primary, updated, outdated };
  if (change === 'create')
    await store.recordCreation({ ...facts, replicaPath, isAssigned: route.isAssigned });
  else if (change === 'delete' || change === 'rename') await store.recordRemoval(repository);
  else
    await store.recordWrite(facts).catch((error) => {
      throw wrap(error, 'increment generation');
    });
  onRecorded?.(repository);
  for (const target of outdated) {
    const isNew = await queue.enqueue({
      change: change === 'delete' ? 'delete' : 'update',
      repositoryId,
      ...repository,
      replicaPath,
      source: primary,
      target,
      correlationId: context.correlationId,
    });
    if (isNew) onQueued?.(repository.virtualStorage, target);
    else logger.info({ ...fields, ...repository, target }, 'replication job is already queued');
  }
}

/** @throws {GitalyError} DEADLINE_EXCEEDED when the work takes too long. */
async function limited(work: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded')),
    RECORD_LIMIT_MS,
  );
  try {
    await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {}); // reported above, or too late
  }
}

function outcomeFor({ errors, route, transaction }: EndedWrite): WriteOutcome {
  const primary = route.primary.storage;
  const secondaries = route.secondaries.map(({ storage }) => storage);
  return outcomeOf({
    primary,
    secondaries,
    replicationTargets: route.replicationTargets,
    errors,
    transaction: {
      subtransactions: transaction?.subtransactions ?? 0,
      states: transaction?.states ?? new Map(),
      primaryVoted: transaction?.hasVoted(primary) ?? false,
    },
  });
}
