import { GitalyError } from '#base/gitaly-error';
import { ReplayableRequests } from '#client/call/replay';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import type { MethodInfo } from '#wire/method-info';
import { MAX_ATTEMPTS, wasNotProcessed } from './gone-node.ts';
import type { ProxyPlan } from './proxy-plan.ts';
import { proxyToAll } from './proxy-to-all.ts';
import { ProxyToOne } from './proxy-to-one.ts';

const DONE = { done: true, value: undefined } as const;

/** The responses of a call whose nodes are chosen when its first message has arrived. */
export class ProxiedCall implements AsyncIterableIterator<Buffer> {
  readonly #method: MethodInfo;
  readonly #requests: AsyncIterator<Buffer>;
  readonly #context: HandlerContext;
  readonly #plan: (first: Buffer) => Promise<ProxyPlan>;
  #responses: AsyncIterator<Buffer> | undefined;

  constructor(
    method: MethodInfo,
    requests: AsyncIterable<Buffer>,
    context: HandlerContext,
    plan: (first: Buffer) => Promise<ProxyPlan>,
  ) {
    this.#method = method;
    this.#requests = requests[Symbol.asyncIterator]();
    this.#context = context;
    this.#plan = plan;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** @throws {GitalyError} INTERNAL `EOF` when the client has sent no message. */
  next(): Promise<IteratorResult<Buffer>> {
    return this.#responses === undefined ? this.#first() : this.#responses.next();
  }

  async return(): Promise<IteratorResult<Buffer>> {
    return (await this.#responses?.return?.()) ?? DONE;
  }

  async #first(): Promise<IteratorResult<Buffer>> {
    const { done, value: first } = await this.#requests.next();
    if (done) throw new GitalyError('INTERNAL', 'EOF');
    const plan = await this.#plan(first);
    const isRead = this.#method.operation === 'accessor' && !this.#context.headers.has(SIDECHANNEL_ID);
    this.#responses = isRead
      ? new ProxyToOne(this.#method, this.#requests, { plan, replan: () => this.#plan(first) }, this.#context)
      : this.#toAll(plan, first);
    return await this.#responses.next();
  }

  /**
   * Chooses the nodes again if the primary was gone before the call reached it, or has lost the
   * repository.
   */
  async *#toAll(planned: ProxyPlan, first: Buffer): AsyncGenerator<Buffer, void> {
    const requests = this.#requests;
    const replayable = new ReplayableRequests({ [Symbol.asyncIterator]: () => requests });
    let plan = planned;
    for (let attempt = 1; ; attempt++) {
      try {
        // The client's frames, unchanged.
        const frames = replayable.attempt() as AsyncGenerator<Buffer, void>;
        for await (const frame of proxyToAll(this.#method, frames, plan, this.#context)) {
          replayable.commit();
          yield frame;
        }
        return;
      } catch (error) {
        const mayRepeat = attempt < MAX_ATTEMPTS && replayable.canReplay && !this.#context.signal.aborted;
        if (!mayRepeat || !(wasNotProcessed(error) || (await plan.hasLostReplica?.(error)))) throw error;
        plan = await this.#plan(first);
      }
    }
  }
}
