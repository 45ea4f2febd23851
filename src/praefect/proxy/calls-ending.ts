import { GitalyError } from '#base/gitaly-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { ProxyPlan } from './proxy-plan.ts';

/** Time for nodes to complete a change when the client or the primary has left. */
const COMPLETION_MS = 2000;

/**
 * Ends the calls of a proxied call on its nodes when the client has left, or when the call of one
 * node must end all. Nodes that have started a change complete it first: otherwise each would stop
 * at another point of it.
 */
export class CallsEnding implements Disposable {
  /** For the calls on the nodes. */
  readonly options: { readonly signal: AbortSignal; readonly deadline?: Date };
  readonly #plan: ProxyPlan;
  readonly #context: HandlerContext;
  readonly #ending = new AbortController();
  readonly #onAbort = (): void => this.soon();
  #timer: NodeJS.Timeout | undefined;

  constructor(plan: ProxyPlan, context: HandlerContext) {
    this.#plan = plan;
    this.#context = context;
    const { deadline, signal } = context;
    const extensionMs = plan.isBegun === undefined ? 0 : COMPLETION_MS;
    this.options = {
      signal: this.#ending.signal,
      ...(deadline !== undefined && { deadline: new Date(deadline.getTime() + extensionMs) }),
    };
    if (signal.aborted) this.now();
    else signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Ends the calls: at once, or after a time if the nodes have started a change. */
  soon(): void {
    if (this.#plan.isBegun?.() !== true) this.now();
    else this.#timer ??= setTimeout(() => this.now(), COMPLETION_MS);
  }

  /** Ends the calls at once. */
  now(): void {
    this.#ending.abort(
      this.#context.signal.aborted
        ? this.#context.signal.reason
        : new GitalyError('CANCELLED', 'context canceled'),
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#context.signal.removeEventListener('abort', this.#onAbort);
  }
}
