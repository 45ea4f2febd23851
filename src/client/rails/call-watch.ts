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
  /** `performance.now()` at its start. */
  readonly startMs: number;
  /** Counts the outcome of the call; `undefined` for calls without a circuit. */
  readonly circuit: CircuitNotes | undefined;
}

/** Counts answered and refused calls. */
export interface CircuitNotes {
  /** Called once when the call was answered. */
  noteAnswer(): void;
  /** Called when a limit refused the call. */
  noteRefusal(): void;
}

/**
 * The responses of one call: measures it, records data for the performance bar, and adds the call's
 * names to its error. The reader's time between two responses does not count as the call's time.
 *
 * It has no generator, `await` or function for each call: those would cost a short call as much as
 * its response.
 */
export class CallWatch<O> implements AsyncIterable<O>, AsyncIterator<O> {
  readonly #invocation: Invocation;
  readonly #call: WatchedCall;
  readonly #responses: AsyncIterator<O>;
  #waitStartMs = 0;
  #waitedMs = 0;
  #isAnswered = false;
  #isOver = false;

  constructor(responses: AsyncIterable<O>, invocation: Invocation, call: WatchedCall) {
    this.#responses = responses[Symbol.asyncIterator]();
    this.#invocation = invocation;
    this.#call = call;
  }

  [Symbol.asyncIterator](): AsyncIterator<O> {
    return this;
  }

  next(): Promise<IteratorResult<O>> {
    if (this.#isOver) return Promise.resolve(this.#end());
    this.#waitStartMs = performance.now();
    return this.#responses.next().then(
      (result) => this.#onResult(result),
      (error) => this.#onError(error),
    );
  }

  async return(): Promise<IteratorResult<O>> {
    if (!this.#isOver) await this.#responses.return?.();
    return this.#end();
  }

  #onResult(result: IteratorResult<O>): IteratorResult<O> {
    this.#waitedMs += performance.now() - this.#waitStartMs;
    this.#noteAnswer();
    return result.done === true ? this.#end() : result;
  }

  #onError(error: unknown): never {
    this.#waitedMs += performance.now() - this.#waitStartMs;
    if (codeOf(error) === 'RESOURCE_EXHAUSTED') this.#call.circuit?.noteRefusal();
    this.#end();
    throw this.#labelled(error);
  }

  #end(): IteratorResult<O> {
    if (!this.#isOver) this.#finish();
    this.#isOver = true;
    return { done: true, value: undefined };
  }

  #noteAnswer(): void {
    if (!this.#isAnswered) this.#call.circuit?.noteAnswer();
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
    store.queryMs += this.#waitedMs;
    if (store.details === undefined) return;
    const { method, requests } = this.#invocation;
    const { service, rpc } = railsNames(method);
    store.details.push({
      startMs: this.#call.startMs,
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
