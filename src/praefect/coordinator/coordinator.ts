import { fromBinary, type Message } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { decodeError } from '#rpc/server/call/decode-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawHandler } from '#rpc/server/route';
import type { MethodInfo } from '#wire/method-info';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { ProxiedCall } from '../proxy/proxy-call.ts';
import type { Destination, ProxyPlan } from '../proxy/proxy-plan.ts';
import type { Call, CoordinatedCallOptions, RepositoryCall } from './call.ts';
import { losses } from './losses.ts';
import { outgoingMetadata } from './outgoing-metadata.ts';
import { planWrite } from './plan-write.ts';
import { repositoryFields } from './repository-fields.ts';
import { rewriteRepositories, rewriteStorage } from './rewrite.ts';
import { routeError } from './route-error.ts';

export interface CoordinatorOptions extends CoordinatedCallOptions {
  /** Notified of each call that a node ended with an error. */
  readonly onNodeError: (node: GitalyNode, operation: MethodInfo['operation'], error: unknown) => void;
}

/** Decides for each call which nodes receive it, and passes it on. */
export class Coordinator {
  readonly #options: CoordinatorOptions;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
  }

  /** Returns the handler of a method that the nodes serve. */
  handler(method: MethodInfo): RawHandler {
    const plan = async (frame: Buffer, context: HandlerContext): Promise<ProxyPlan> =>
      this.#observed(method, await this.#plan(method, frame, context));
    return (requests, context) => new ProxiedCall(method, requests, context, (first) => plan(first, context));
  }

  /**
   * Plans a call. It is not asynchronous itself, because each layer of promises costs every read.
   */
  #plan(method: MethodInfo, frame: Buffer, context: HandlerContext): Promise<ProxyPlan> {
    let request: Message;
    try {
      request = fromBinary(method.input, frame);
    } catch (error) {
      throw decodeError(error);
    }
    if (method.operation !== 'unknown') this.#options.metrics.countMethodType(method.operation);
    const call = { method, request, context };
    switch (method.scope) {
      case 'repository':
        return this.#planForRepository(call);
      case 'storage':
        return planStorageCall(this.#options, call);
      default:
        throw new GitalyError('INTERNAL', `rpc with undefined scope ${JSON.stringify(method.scope)}`);
    }
  }

  #planForRepository(call: Call): Promise<ProxyPlan> {
    const { context, method, request } = call;
    const repository = this.#repositoryOf(method, request);
    context.log.add(repositoryFields(repository));
    switch (method.operation) {
      case 'accessor':
        return planRead(this.#options, { ...call, repository });
      case 'mutator':
        return planWrite(this.#options, { ...call, repository });
      default:
        return planMaintenance(this.#options, { ...call, repository });
    }
  }

  #repositoryOf(method: MethodInfo, request: Message): RepositoryKey {
    const invalid = (message: string, metadata = {}): GitalyError => invalidArgument(message, { metadata });
    const { storageName = '', relativePath = '' } = method.targetRepository(request) ?? {};
    if (storageName === '' && relativePath === '') throw invalid('repository not set');
    if (storageName === '') throw invalid('storage name not set');
    if (relativePath === '') throw invalid('repository path not set');
    if (!this.#options.router.knows(storageName))
      throw invalid('storage name not found', { storage_name: storageName });
    return { virtualStorage: storageName, relativePath };
  }

  /** Returns the plan with a notification of each error of a node. */
  #observed({ operation }: MethodInfo, plan: ProxyPlan): ProxyPlan {
    const observed = (destination: Destination): Destination => ({
      ...destination,
      onError: (error) => {
        this.#options.onNodeError(destination.node, operation, error);
        return destination.onError(error);
      },
    });
    return { ...plan, primary: observed(plan.primary), secondaries: plan.secondaries.map(observed) };
  }
}

/** Sends a call of storage scope to a healthy node, or a mutator to the primary and the others. */
export async function planStorageCall(
  { router }: CoordinatedCallOptions,
  { context, method, request }: Call,
): Promise<ProxyPlan> {
  const virtualStorage = method.targetStorage(request) ?? '';
  if (virtualStorage === '') throw invalidArgument('storage scoped: target storage is invalid');
  const { primary, secondaries } =
    method.operation === 'mutator'
      ? await router.storageMutator(virtualStorage)
      : { primary: await router.storageAccessor(virtualStorage), secondaries: [] };
  const destination = (node: GitalyNode): Destination => ({
    node,
    metadata: outgoingMetadata(context, virtualStorage),
    firstFrame: rewriteStorage(method, request, node.storage),
    onError: (error) => error,
  });
  context.log.add({ route: { storage: primary.storage } });
  return {
    primary: destination(primary),
    secondaries: secondaries.map(destination),
    finish: async () => {},
  };
}

/** Sends maintenance to all healthy nodes that have the repository, outdated replicas included. */
export async function planMaintenance(
  { router }: CoordinatedCallOptions,
  { context, method, repository, request }: RepositoryCall,
): Promise<ProxyPlan> {
  const { nodes, replicaPath, repositoryId } = await router
    .maintenance(repository)
    .catch(routeError(repository, 'maintenance call: route repository maintenance'));
  const storages = nodes.map(({ storage }) => storage);
  context.log.add({ route: { repository_id: repositoryId, replica_path: replicaPath, storages } });
  const errors = new Map<GitalyNode, unknown>();
  const [primary, ...secondaries] = nodes.map(
    (node): Destination => ({
      node,
      metadata: outgoingMetadata(context, repository.virtualStorage),
      firstFrame: rewriteRepositories(method, request, {
        storage: node.storage,
        replicaPath,
        additionalReplicaPath: undefined,
      }),
      // Report an error only after all nodes have finished.
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

/** Metadata with which a client requests a read from the primary. */
const ACCESSOR_POLICY = 'gitaly-route-repository-accessor-policy';
const PRIMARY_METHODS: ReadonlySet<string> = new Set(['GetObjectDirectorySize', 'RepositorySize']);

/** Sends a read to one node whose replica is up to date. */
export async function planRead(
  { findLost, metrics, reachable, router, unrecorded }: CoordinatedCallOptions,
  { context, method, repository, request }: RepositoryCall,
): Promise<ProxyPlan> {
  const onPrimary =
    PRIMARY_METHODS.has(method.name) || context.headers.get(ACCESSOR_POLICY) === 'primary-only';
  const { virtualStorage } = repository;
  const { node, replicaPath } = await reachable
    .route({
      virtualStorage,
      find: () => unrecorded.whenRecorded(repository, () => router.accessor(repository, { onPrimary })),
      nodesOf: (route) => [route.node],
      waits: false,
      context,
    })
    .catch(routeError(repository, 'accessor call: route repository accessor'));
  metrics.countRead(virtualStorage, node.storage);
  context.log.add({ route: { replica_path: replicaPath, storage: node.storage } });
  const names = { storage: node.storage, replicaPath, additionalReplicaPath: undefined };
  return {
    primary: {
      node,
      metadata: outgoingMetadata(context, virtualStorage),
      firstFrame: rewriteRepositories(method, request, names),
      onError: (error) => error,
    },
    secondaries: [],
    hasLostReplica: losses(findLost, node, { context, repository }),
    finish: async () => {},
  };
}
