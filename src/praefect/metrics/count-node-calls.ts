import { codeOf } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { ForwardedCall } from '#client/call/forwarded-call';
import type { Interceptor, Invocation, ResponseStream } from '#client/index';
import type { MethodLabels, MethodMetrics } from '#platform/metrics/grpc-metrics';
import { methodLabels } from '#rpc/server/interceptors/call-metrics';
import type { MethodInfo } from '#wire/method-info';

/** The end of a stream. */
const DONE = { done: true, value: undefined } as const;

/** Returns the interceptor that counts the calls of nodes, as Gitaly's Praefect counts them. */
export function countNodeCalls(methodMetrics: (method: MethodLabels) => MethodMetrics): Interceptor {
  const proxied = new Map<MethodInfo, MethodMetrics>();
  const own = new Map<MethodInfo, MethodMetrics>();
  return (invocation, next) => {
    const { isRaw = false, method, requests } = invocation;
    const known = isRaw ? proxied : own;
    let metrics = known.get(method);
    if (metrics === undefined) {
      const labels = methodLabels(method);
      // A proxied call is opened as a stream in both directions, whatever its method is.
      metrics = methodMetrics(isRaw ? { ...labels, type: 'bidi_stream' } : labels);
      known.set(method, metrics);
    }
    metrics.started.inc();
    return new CountedCall(next({ ...invocation, requests: countSent(requests, metrics) }), metrics, {
      countsFailures: !isRaw && method.kind === 'unary',
    });
  };
}

/** Returns the requests. An array stays one, because it is cheaper to send. */
function countSent(requests: Invocation['requests'], metrics: MethodMetrics): Invocation['requests'] {
  if (Array.isArray(requests)) {
    metrics.messagesSent.inc(requests.length);
    return requests;
  }
  return countEach(requests, metrics);
}

async function* countEach(requests: Invocation['requests'], metrics: MethodMetrics): AsyncGenerator<unknown> {
  for await (const request of requests) {
    metrics.messagesSent.inc();
    yield request;
  }
}

/** A call that counts its responses and its end. */
class CountedCall extends ForwardedCall<unknown> implements AsyncIterator<unknown, void> {
  readonly #metrics: MethodMetrics;
  readonly #countsFailures: boolean;
  readonly #startedAtMs = performance.now();
  #responses: AsyncIterator<unknown, void> | undefined;
  #isOver = false;

  /**
   * @param options.countsFailures counts failures as received messages, and responses not: Gitaly's
   *   library does so with calls of one request and one response.
   */
  constructor(
    call: ResponseStream<unknown>,
    metrics: MethodMetrics,
    { countsFailures }: { countsFailures: boolean },
  ) {
    super(call);
    this.#metrics = metrics;
    this.#countsFailures = countsFailures;
  }

  override cancel(reason?: unknown): void {
    super.cancel(reason);
    this.#end(codeOf(reason) ?? 'CANCELLED');
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, void> {
    this.#responses ??= this.call[Symbol.asyncIterator]();
    return this;
  }

  async next(): Promise<IteratorResult<unknown, void>> {
    try {
      const result = (await this.#responses?.next()) ?? DONE;
      if (result.done === true) this.#end('OK');
      else if (!this.#countsFailures) this.#metrics.messagesReceived.inc();
      return result;
    } catch (error) {
      this.#end(codeOf(error) ?? 'UNKNOWN');
      throw error;
    }
  }

  async return(): Promise<IteratorResult<unknown, void>> {
    this.#end('CANCELLED');
    return (await this.#responses?.return?.()) ?? DONE;
  }

  override [Symbol.asyncDispose](): Promise<void> {
    this.#end('CANCELLED');
    return super[Symbol.asyncDispose]();
  }

  /** Counts only the first end: leaving the loop of an ended call must not count again. */
  #end(code: Parameters<typeof statusName>[0]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (this.#countsFailures && code !== 'OK') this.#metrics.messagesReceived.inc();
    this.#metrics.handled(statusName(code)).inc();
    this.#metrics.handlingSeconds?.observe((performance.now() - this.#startedAtMs) / 1000);
  }
}
