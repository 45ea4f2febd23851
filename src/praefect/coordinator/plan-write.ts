import { messageOf } from '#base/gitaly-error';
import { flagHeader } from '#platform/flags/feature-flags';
import { REFERENCE_TRANSACTION } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import { isInterruption } from '../model/outcome.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { Destination, ProxyPlan } from '../proxy/proxy-plan.ts';
import type { MutatorRoute, Router } from '../routing/routes.ts';
import type { Transaction } from '../transactions/transaction.ts';
import { planVotes } from '../transactions/voters.ts';
import type { CoordinatedCallOptions, RepositoryCall } from './call.ts';
import { proxiedCallFields } from './call-fields.ts';
import { fillTime } from './fill-time.ts';
import { losses } from './losses.ts';
import { outgoingMetadata } from './outgoing-metadata.ts';
import { PARTITIONING_HINT, partitioningHint } from './partitioning-hint.ts';
import { repositoryFields } from './repository-fields.ts';
import { rewriteRepositories } from './rewrite.ts';
import { routeError } from './route-error.ts';
import { changeOf, isTransactional, type RecordChange } from './transactional-methods.ts';

/** Makes a write wait for the writes of other Praefects, too. */
const SERIALIZED_WRITE = flagHeader('praefect_serialized_write');

const UPSERTS: ReadonlySet<string> = new Set(['ReplicateRepository', 'RestoreRepository']);

interface Write extends RepositoryCall {
  readonly route: MutatorRoute;
  readonly change: RecordChange;
  readonly hint: string | undefined;
  /** `undefined` if the nodes do not vote. */
  readonly transaction: Transaction | undefined;
  /** Disposed when the write is recorded. */
  readonly running: Disposable;
  /** Disposed when the nodes have ended, so that the next write does not wait for the record. */
  readonly ordered: Disposable;
  /**
   * True if only some references are locked. The nodes wait by themselves before they lock others.
   */
  readonly isNarrow: boolean;
}

/** Sends a write to the primary and all replicas that are up to date, which vote on it. */
export async function planWrite(options: CoordinatedCallOptions, call: RepositoryCall): Promise<ProxyPlan> {
  const { context, method, repository, request } = call;
  const { metrics, order, pauses, transactions } = options;
  using paused = new DisposableStack();
  const arrivedMs = performance.now();
  paused.use(await pauses.write(repository, context.signal));
  // Wait after the pause: a pause ends only when all earlier writes have ended.
  using ordered = new DisposableStack();
  const entered = ordered.use(await order.enter(call, context.signal));
  const change = await changeBy(method, repository, options.router);
  const hint = partitioningHint(method, request, context);
  const additionalPath = method.additionalRepository(request)?.relativePath ?? hint;
  const route = await routeOf(options, call, { change, additionalPath });
  fillTime(method, request);
  const secondaries = route.secondaries.map(({ storage }) => storage);
  const primary = route.primary.storage;
  if (entered.isNarrow && !transactions.checkLocks(repository.virtualStorage, [primary, ...secondaries]))
    await entered.widen(context.signal);
  addTime(context, 'cluster.wait_ms', arrivedMs);
  context.log.add({
    route: {
      repository_id: route.repositoryId,
      replica_path: route.replicaPath,
      additional_replica_path: route.additionalReplicaPath,
      primary,
      secondaries,
      replication_targets: route.replicationTargets,
    },
  });
  let transaction: Transaction | undefined;
  if (isTransactional(method)) {
    const isShared = context.headers.get(SERIALIZED_WRITE) === 'true';
    transaction = transactions.register(
      planVotes(primary, secondaries),
      order.ofVotes(method, repository, { entered, isShared, primary }),
    );
    metrics.transactions.countVoters(repository.virtualStorage, 1 + secondaries.length);
  }
  return writePlan(options, {
    ...call,
    route,
    change,
    hint,
    transaction,
    running: paused.move(),
    ordered: ordered.move(),
    isNarrow: entered.isNarrow,
  });
}

/** Adds the time since a moment to the log line of a call, if it is worth a field. */
function addTime({ log }: HandlerContext, field: string, sinceMs: number): void {
  const ms = Math.round(performance.now() - sinceMs);
  if (ms > 0) log.add({ [field]: ms });
}

/** Finds nodes that accept the write. */
async function routeOf(
  { reachable, router, unrecorded }: CoordinatedCallOptions,
  { context, repository }: RepositoryCall,
  { change, additionalPath }: { readonly change: RecordChange; readonly additionalPath: string | undefined },
): Promise<MutatorRoute> {
  const isCreation = change === 'create';
  const place = isCreation ? 'route repository creation' : 'mutator call: route repository mutator';
  return await reachable
    .route({
      virtualStorage: repository.virtualStorage,
      find: () =>
        isCreation
          ? router.creation(repository, additionalPath)
          : unrecorded.whenRecorded(repository, () => router.mutator(repository, additionalPath)),
      nodesOf: ({ primary, secondaries }) => [primary, ...secondaries],
      waits: true,
      context,
    })
    .catch(routeError(repository, place));
}

/**
 * Returns the kind of a change. A copy or restoration onto a repository that exists is an update.
 */
async function changeBy(
  method: MethodInfo,
  repository: RepositoryKey,
  router: Router,
): Promise<RecordChange> {
  const isUpdate = UPSERTS.has(method.name) && (await router.exists(repository));
  return isUpdate ? 'update' : changeOf(method);
}

function writePlan(
  { findLost, logger, order, recordWrite, transactions }: CoordinatedCallOptions,
  write: Write,
): ProxyPlan {
  const { change, context, hint, method, repository, ordered, request, route, running, transaction } = write;
  const errors = new Map<string, unknown>();
  const locks = { isOrdered: order.isOnNodes(method), isNarrow: write.isNarrow };
  const destination = (node: GitalyNode, isPrimary: boolean): Destination => {
    const metadata = outgoingMetadata(context, repository.virtualStorage);
    if (hint !== undefined && route.additionalReplicaPath !== undefined)
      metadata.set(PARTITIONING_HINT, route.additionalReplicaPath);
    if (transaction !== undefined)
      metadata.set(REFERENCE_TRANSACTION, transactionHeader(transaction, node, { isPrimary, ...locks }));
    return {
      node,
      metadata,
      firstFrame: rewriteRepositories(method, request, { ...route, storage: node.storage }),
      onError: (error) => {
        errors.set(node.storage, error);
        if (isPrimary) {
          // The other nodes complete what they have started. Any other error of the primary stops
          // them.
          if (isInterruption(error)) transaction?.continueWithout(node.storage);
          return error;
        }
        logger.error(
          {
            ...proxiedCallFields(context),
            ...repositoryFields(repository),
            storage: node.storage,
            error: messageOf(error),
          },
          'proxying to secondary failed',
        );
        // The other nodes decide without the failed one.
        if (transaction !== undefined) cancelVoter(transaction, node);
        return undefined;
      },
    };
  };
  return {
    primary: destination(route.primary, true),
    secondaries: route.secondaries.map((node) => destination(node, false)),
    ...(transaction !== undefined && {
      isBegun: () => transaction.hasCommitted && !hasFailed(errors.get(route.primary.storage)),
    }),
    ...(change === 'update' && { hasLostReplica: losses(findLost, route.primary, write) }),
    finish: async () => {
      using _ = running;
      if (transaction !== undefined) transactions.finish(transaction, proxiedCallFields(context));
      ordered[Symbol.dispose]();
      const endedMs = performance.now();
      await recordWrite({ change, method, repository, route, errors, transaction, context });
      addTime(context, 'cluster.record_ms', endedMs);
    },
  };
}

function transactionHeader(
  { id }: Transaction,
  { storage }: GitalyNode,
  {
    isNarrow,
    isOrdered,
    isPrimary,
  }: { readonly isNarrow: boolean; readonly isOrdered: boolean; readonly isPrimary: boolean },
): string {
  // A Gitaly ignores names that it does not know.
  const more = `${isOrdered ? ',"ordered":true' : ''}${isNarrow ? ',"entered":true' : ''},"vote_stream":true`;
  // Written by hand, as an id may be larger than JavaScript's numbers.
  const json = `{"id":${id},"node":${JSON.stringify(storage)},"primary":${isPrimary}${more}}`;
  return Buffer.from(json).toString('base64');
}

/** Reports whether a node has ended its call with its own error. */
function hasFailed(error: unknown): boolean {
  return error !== undefined && !isInterruption(error);
}

function cancelVoter(transaction: Transaction, { storage }: GitalyNode): void {
  try {
    transaction.cancelVoter(storage);
  } catch {
    // The node has voted, or its vote was stopped: its current vote counts for the outcome.
  }
}
