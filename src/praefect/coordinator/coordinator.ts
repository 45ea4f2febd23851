import { fromBinary, type Message } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { decodeError } from '#rpc/server/call/decode-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { RawHandler } from '#rpc/server/route';
import type { MethodInfo } from '#wire/method-info';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { ProxiedCall } from '../proxy/proxy-call.ts';
import type { Destination, ProxyPlan } from '../proxy/proxy-plan.ts';
import type { Call, CoordinatedCallOptions } from './call.ts';
import { planMaintenance } from './plan-maintenance.ts';
import { planRead } from './plan-read.ts';
import { planStorageCall } from './plan-storage-call.ts';
import { planWrite } from './plan-write.ts';
import { repositoryFields } from './repository-fields.ts';

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
    const invalid = (message: string, metadata = {}): GitalyError =>
      new GitalyError('INVALID_ARGUMENT', message, { metadata });
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
