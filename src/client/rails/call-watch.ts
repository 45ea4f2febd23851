import { codeOf } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import type { MethodInfo } from '#wire/method-info';
import type { Invocation } from '../call/call-types.ts';
import type { RequestStore } from './request-store.ts';

/** Data about a call apart from its request. */
export interface WatchedCall {
  /** `undefined` for calls that do not use `GitalyClient.call`. */
  readonly scope:
    | { readonly storage: string; readonly address: string; readonly frames: readonly string[] }
    | undefined;
  readonly store: RequestStore | undefined;
  /** Called once when the call was answered. */
  readonly onAnswer: () => void;
  /** Called when a limit refused the call. */
  readonly onRefusal: () => void;
}

/**
 * Measures one call, records data for the performance bar, and adds the call's names to its error.
 */
export class CallWatch {
  readonly #invocation: Invocation;
  readonly #call: WatchedCall;
  readonly #startMs = performance.now();
  #waitedMs = 0;
  #isAnswered = false;

  constructor(invocation: Invocation, call: WatchedCall) {
    this.#invocation = invocation;
    this.#call = call;
  }

  /**
   * Passes the responses on. The reader's time between two of them does not count as the call's
   * time.
   */
  over<O>(responses: AsyncIterable<O>): AsyncIterable<O> {
    return { [Symbol.asyncIterator]: () => this.#watched(responses[Symbol.asyncIterator]()) };
  }

  /** Written without generator and `await`: those cost a short call as much as its response. */
  #watched<O>(responses: AsyncIterator<O>): AsyncIterator<O> {
    let isOver = false;
    const end = (): IteratorResult<O> => {
      if (!isOver) this.#finish();
      isOver = true;
      return { done: true, value: undefined };
    };
    let start = 0;
    const onResult = (result: IteratorResult<O>): IteratorResult<O> => {
      this.#waitedMs += performance.now() - start;
      this.#noteAnswer();
      return result.done === true ? end() : result;
    };
    const onError = (error: unknown): never => {
      this.#waitedMs += performance.now() - start;
      if (codeOf(error) === 'RESOURCE_EXHAUSTED') this.#call.onRefusal();
      end();
      throw this.#labelled(error);
    };
    return {
      next: () => {
        if (isOver) return Promise.resolve(end());
        start = performance.now();
        return responses.next().then(onResult, onError);
      },
      return: async () => {
        if (!isOver) await responses.return?.();
        return end();
      },
    };
  }

  #noteAnswer(): void {
    if (!this.#isAnswered) this.#call.onAnswer();
    this.#isAnswered = true;
  }

  #labelled(error: unknown): unknown {
    const { storage, address } = this.#call.scope ?? {};
    const gitalyErrorMetadata = { storage, address, ...railsNames(this.#invocation.method) };
    return isError(error) ? Object.assign(error, { gitalyErrorMetadata }) : error;
  }

  #finish(): void {
    const { scope, store } = this.#call;
    if (store === undefined) return;
    const { method, requests } = this.#invocation;
    const { service, rpc } = railsNames(method);
    store.queryMs += this.#waitedMs;
    store.details?.push({
      startMs: this.#startMs,
      durationMs: this.#waitedMs,
      feature: `${service}#${rpc}`,
      rpc,
      request: Array.isArray(requests) ? requests[0] : {},
      backtrace: scope?.frames ?? [],
    });
  }
}

/** Returns Ruby's names of a method: `commit_service`, `find_commit`. */
function railsNames({ name, service }: MethodInfo): { service: string; rpc: string } {
  return { service: snakeCase(service.replace(/^.*\./, '')), rpc: snakeCase(name) };
}

function snakeCase(name: string): string {
  return name.replace(/(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/g, '_').toLowerCase();
}
