import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import type { MemoryQueue } from '../replication/memory-queue.ts';
import type { MutatorRoute, RepositoryKey } from '../routing/routes.ts';
import type { MemoryStore } from '../store/memory-store.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { outcomeOf, type ReplicaReason, type WriteOutcome } from './outcome.ts';
import type { Change } from './transactional-methods.ts';

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
  readonly store: MemoryStore;
  readonly queue: MemoryQueue;
  readonly logger: Logger;
  counted(reason: ReplicaReason, nodes: number): void;
}

/**
 * Returns the function that records after a write which replicas have it, and queues copies for
 * those that do not.
 */
export function writeFinalizer({ store, queue, logger, counted }: FinalizerParts): RecordWrite {
  return async (write) => {
    const { change, context, method, repository, route } = write;
    const outcome = outcomeFor(write);
    if (!outcome.isWritten) return;
    for (const [reason, storages] of outcome.reasons) counted(reason, storages.length);
    const { virtualStorage, relativePath } = repository;
    const primary = route.primary.storage;
    const updated = [primary, ...outcome.updated];
    logger.info(
      {
        'replication.cause': method.path,
        'replication.change': change,
        'replication.primary': primary,
        'replication.updated': outcome.updated,
        'replication.outdated': outcome.outdated,
      },
      'queueing replication jobs',
    );
    if (change === 'create') store.recordCreation(virtualStorage, relativePath, updated);
    else if (change === 'delete') store.recordRemoval(virtualStorage, relativePath);
    else {
      const storages = [...updated, ...outcome.outdated];
      store.recordWrite(virtualStorage, relativePath, { updated, storages });
    }
    for (const target of outcome.outdated) {
      queue.enqueue({
        change: change === 'delete' ? 'delete' : 'update',
        virtualStorage,
        relativePath,
        source: primary,
        target,
        correlationId: context.correlationId,
      });
    }
  };
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
