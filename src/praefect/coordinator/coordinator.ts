import { fromBinary, type Message } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { AUTHORIZATION, REFERENCE_TRANSACTION } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawHandler } from '#rpc/server/route';
import type { Repository } from '#wire/gen/shared_pb';
import type { MethodInfo } from '#wire/method-info';
import type { PraefectMetrics } from '../metrics.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { type Destination, type ProxyPlan, proxyCall } from '../proxy/proxy-call.ts';
import { type MutatorRoute, type RepositoryKey, type Router, repositoryNotFound } from '../routing/routes.ts';
import type { Transaction } from '../transactions/transaction.ts';
import type { Transactions } from '../transactions/transactions.ts';
import { planVotes } from '../transactions/voters.ts';
import { rewriteRepositories, rewriteStorage } from './rewrite.ts';
import { type Change, changeOf, isTransactional } from './transactional-methods.ts';
import type { RecordWrite } from './write-finalizer.ts';

/** Metadata with which a client asks the primary to answer a read. */
const ACCESSOR_POLICY = 'gitaly-route-repository-accessor-policy';
/** Name of the virtual storage, for the nodes' logs. */
const VIRTUAL_STORAGE = 'virtual_storage';
const PRIMARY_METHODS: ReadonlySet<string> = new Set(['GetObjectDirectorySize', 'RepositorySize']);

/** Path of a repository beside which the node stores a new one. */
const PARTITIONING_HINT = 'gitaly-partitioning-hint';
const UPSERTS: ReadonlySet<string> = new Set(['ReplicateRepository', 'RestoreRepository']);

export interface CoordinatorParts {
  readonly router: Router;
  readonly transactions: Transactions;
  readonly metrics: Pick<PraefectMetrics, 'countMethodType' | 'countRead'>;
  /** Runs after each write. */
  readonly recordWrite: RecordWrite;
}

/** Decides for each call which nodes receive it, and passes it on. */
export class Coordinator {
  readonly #parts: CoordinatorParts;

  constructor(parts: CoordinatorParts) {
    this.#parts = parts;
  }

  /** Returns the handler of a method that the nodes answer. */
  handler(method: MethodInfo): RawHandler {
    const plan = (frame: Buffer, context: HandlerContext): Promise<ProxyPlan> =>
      this.#plan(method, frame, context);
    return async function* (requests, context) {
      const frames = requests[Symbol.asyncIterator]();
      const { done, value: first } = await frames.next();
      if (done) throw new GitalyError('INTERNAL', 'EOF');
      yield* proxyCall(method, frames, await plan(first, context), context);
    };
  }

  async #plan(method: MethodInfo, frame: Buffer, context: HandlerContext): Promise<ProxyPlan> {
    let request: Message;
    try {
      request = fromBinary(method.input, frame);
    } catch (error) {
      throw wrap(error, 'grpc: failed to unmarshal the received message');
    }
    if (method.operation !== 'unknown') this.#parts.metrics.countMethodType(method.operation);
    switch (method.scope) {
      case 'repository':
        return await this.#planForRepository(method, request, context);
      case 'storage':
        return await this.#planForStorage(method, request, context);
      default:
        throw new GitalyError('INTERNAL', `rpc with undefined scope ${JSON.stringify(method.scope)}`);
    }
  }

  async #planForRepository(
    method: MethodInfo,
    request: Message,
    context: HandlerContext,
  ): Promise<ProxyPlan> {
    const repository = this.#repositoryOf(method, request);
    context.log.add({
      virtual_storage: repository.virtualStorage,
      relative_path: repository.relativePath,
    });
    switch (method.operation) {
      case 'accessor':
        return await this.#planRead(method, request, repository, context);
      case 'mutator':
        return await this.#planWrite(method, request, repository, context);
      default:
        return await this.#planMaintenance(method, request, repository, context);
    }
  }

  #repositoryOf(method: MethodInfo, request: Message): RepositoryKey {
    const invalid = (message: string, metadata = {}): GitalyError =>
      new GitalyError('INVALID_ARGUMENT', message, { metadata });
    const { storageName = '', relativePath = '' } = method.targetRepository(request) ?? {};
    if (storageName === '' && relativePath === '') throw invalid('repository not set');
    if (storageName === '') throw invalid('storage name not set');
    if (relativePath === '') throw invalid('repository path not set');
    if (!this.#parts.router.knows(storageName))
      throw invalid('storage name not found', { storage_name: storageName });
    return { virtualStorage: storageName, relativePath };
  }

  async #planRead(
    method: MethodInfo,
    request: Message,
    repository: RepositoryKey,
    context: HandlerContext,
  ): Promise<ProxyPlan> {
    const onPrimary =
      PRIMARY_METHODS.has(method.name) || context.headers.get(ACCESSOR_POLICY) === 'primary-only';
    const { node, replicaPath } = await this.#parts.router
      .accessor(repository, { onPrimary })
      .catch(routeError(repository, 'accessor call: route repository accessor'));
    this.#parts.metrics.countRead(repository.virtualStorage, node.storage);
    context.log.add({ route: { replica_path: replicaPath, storage: node.storage } });
    const names = { storage: node.storage, replicaPath, additionalReplicaPath: undefined };
    return {
      primary: {
        node,
        metadata: metadataFor(context, repository.virtualStorage),
        firstFrame: rewriteRepositories(method, request, names),
        onError: (error) => error,
      },
      secondaries: [],
      finish: async () => {},
    };
  }

  async #planMaintenance(
    method: MethodInfo,
    request: Message,
    repository: RepositoryKey,
    context: HandlerContext,
  ): Promise<ProxyPlan> {
    const { nodes, replicaPath, repositoryId } = await this.#parts.router
      .maintenance(repository)
      .catch(routeError(repository, 'maintenance call: route repository maintenance'));
    const storages = nodes.map(({ storage }) => storage);
    context.log.add({ route: { repository_id: repositoryId, replica_path: replicaPath, storages } });
    const errors = new Map<GitalyNode, unknown>();
    const [primary, ...secondaries] = nodes.map(
      (node): Destination => ({
        node,
        metadata: metadataFor(context, repository.virtualStorage),
        firstFrame: rewriteRepositories(method, request, {
          storage: node.storage,
          replicaPath,
          additionalReplicaPath: undefined,
        }),
        // All nodes come to their end first.
        onError: (error) => void errors.set(node, error),
      }),
    );
    if (primary === undefined) throw new Error('no healthy nodes');
    return {
      primary,
      secondaries,
      finish: async () => {
        for (const node of nodes) if (errors.has(node)) throw errors.get(node);
      },
    };
  }

  async #planWrite(
    method: MethodInfo,
    request: Message,
    repository: RepositoryKey,
    context: HandlerContext,
  ): Promise<ProxyPlan> {
    const { router } = this.#parts;
    const change = await this.#changeOf(method, repository);
    const hint = partitioningHint(method, request, context);
    const additionalPath = method.additionalRepository(request)?.relativePath ?? hint;
    const route = await (change === 'create'
      ? router.creation(repository, additionalPath).catch(routeError(repository, 'route repository creation'))
      : router
          .mutator(repository, additionalPath)
          .catch(routeError(repository, 'mutator call: route repository mutator')));
    context.log.add({
      route: {
        repository_id: route.repositoryId,
        replica_path: route.replicaPath,
        additional_replica_path: route.additionalReplicaPath,
        primary: route.primary.storage,
        secondaries: route.secondaries.map(({ storage }) => storage),
        replication_targets: route.replicationTargets,
      },
    });
    const { primary, secondaries } = route;
    const transaction = isTransactional(method)
      ? this.#parts.transactions.register(
          planVotes(
            primary.storage,
            secondaries.map(({ storage }) => storage),
          ),
        )
      : undefined;
    return this.#writePlan({ method, request, repository, route, change, hint, transaction, context });
  }

  /** A copy or a restoration onto a repository that exists is an update. */
  async #changeOf(method: MethodInfo, repository: RepositoryKey): Promise<Change> {
    const change = changeOf(method);
    const isUpdate = UPSERTS.has(method.name) && (await this.#parts.router.exists(repository));
    return isUpdate ? 'update' : change;
  }

  #writePlan({ method, request, repository, route, change, hint, transaction, context }: Write): ProxyPlan {
    const { transactions, recordWrite } = this.#parts;
    const errors = new Map<string, unknown>();
    const destination = (node: GitalyNode, isPrimary: boolean): Destination => {
      const metadata = metadataFor(context, repository.virtualStorage);
      if (hint !== undefined && route.additionalReplicaPath !== undefined)
        metadata.set(PARTITIONING_HINT, route.additionalReplicaPath);
      if (transaction !== undefined)
        metadata.set(REFERENCE_TRANSACTION, transactionHeader(transaction, node, isPrimary));
      return {
        node,
        metadata,
        firstFrame: rewriteRepositories(method, request, { ...route, storage: node.storage }),
        onError: (error) => {
          errors.set(node.storage, error);
          if (isPrimary) return error;
          // The others decide without it.
          if (transaction !== undefined) cancelVoter(transaction, node);
          return undefined;
        },
      };
    };
    return {
      primary: destination(route.primary, true),
      secondaries: route.secondaries.map((node) => destination(node, false)),
      finish: async () => {
        if (transaction !== undefined) transactions.finish(transaction);
        await recordWrite({
          change,
          method,
          repository,
          route,
          errors,
          transaction,
          context,
        });
      },
    };
  }

  async #planForStorage(method: MethodInfo, request: Message, context: HandlerContext): Promise<ProxyPlan> {
    const virtualStorage = method.targetStorage(request) ?? '';
    if (virtualStorage === '')
      throw new GitalyError('INVALID_ARGUMENT', 'storage scoped: target storage is invalid');
    const { router } = this.#parts;
    const { primary, secondaries } =
      method.operation === 'mutator'
        ? await router.storageMutator(virtualStorage)
        : { primary: await router.storageAccessor(virtualStorage), secondaries: [] };
    const destination = (node: GitalyNode): Destination => ({
      node,
      metadata: metadataFor(context, virtualStorage),
      firstFrame: rewriteStorage(method, request, node.storage),
      onError: (error) => error,
    });
    return {
      primary: destination(primary),
      secondaries: secondaries.map(destination),
      finish: async () => {},
    };
  }
}

interface Write {
  readonly method: MethodInfo;
  readonly request: Message;
  readonly repository: RepositoryKey;
  readonly route: MutatorRoute;
  readonly change: Change;
  readonly hint: string | undefined;
  readonly transaction: Transaction | undefined;
  readonly context: HandlerContext;
}

/** The client's metadata, without what belongs to its connection and with what belongs to ours. */
function metadataFor(context: HandlerContext, virtualStorage: string): Metadata {
  const metadata = context.headers.clone();
  for (const key of CONNECTION_HEADERS) metadata.delete(key);
  metadata.set(VIRTUAL_STORAGE, virtualStorage);
  return metadata;
}

const CONNECTION_HEADERS = [
  AUTHORIZATION,
  'content-type',
  'te',
  'user-agent',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  ':authority',
  ':method',
  ':path',
  ':scheme',
];

function transactionHeader({ id }: Transaction, { storage }: GitalyNode, isPrimary: boolean): string {
  // Written by hand, as an id may be larger than JavaScript's numbers.
  const json = `{"id":${id},"node":${JSON.stringify(storage)},"primary":${isPrimary}}`;
  return Buffer.from(json).toString('base64');
}

function cancelVoter(transaction: Transaction, { storage }: GitalyNode): void {
  try {
    transaction.cancelVoter(storage);
  } catch {
    // It has voted, or its vote was ended: the outcome counts it as it stands.
  }
}

/** An unknown repository is reported as a Gitaly does, everything else with its place. */
function routeError(repository: RepositoryKey, prefix: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof GitalyError && error.message === 'repository not found')
      throw repositoryNotFound(repository);
    // Clients look for this text.
    if (error instanceof GitalyError && error.message === 'repository is in read-only mode') throw error;
    throw wrap(error, prefix);
  };
}

/**
 * Returns the path of the repository beside which a new one is stored: from the metadata, or the
 * source of a fork.
 */
function partitioningHint(method: MethodInfo, request: Message, context: HandlerContext): string | undefined {
  const hints = context.headers.getAll(PARTITIONING_HINT);
  if (hints.length > 1) throw new Error('mutator call: extract partitioning hint: multiple hints');
  const [hint] = hints;
  if (hint !== undefined && hint !== '') return hint;
  if (method.name !== 'CreateFork') return undefined;
  // CreateFork has this field.
  const { sourceRepository: source } = request as Message & { sourceRepository?: Repository };
  const target = method.targetRepository(request);
  return source?.storageName === target?.storageName ? source?.relativePath : undefined;
}
