import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '#platform/log/logger';
import { loopMetrics } from '#platform/metrics/loop-metrics';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { BlockedCalls } from '#rpc/server/blocked-calls';
import type { CallStage, ServerCall, ServerInterceptor } from '#rpc/server/server-call';

/** The calls that are being served. Those that block the event loop are reported until it is disposed. */
export class CallList implements Disposable {
  readonly #calls = new Set<ServerCall>();
  readonly #context = new AsyncLocalStorage<ServerCall>();

  readonly #blocked: BlockedCalls;

  constructor(logger: Logger, registry: MetricsRegistry) {
    this.#blocked = new BlockedCalls({
      logger,
      metrics: loopMetrics(registry),
      current: () => this.#context.getStore(),
      running: () => this.#calls.values(),
    });
  }

  /** Keeps a call in the list until its end. */
  readonly interceptor: ServerInterceptor = (call) => {
    this.#calls.add(call);
    const stage: CallStage = {
      within: (run) => this.#context.run(call, run),
      end: () => void this.#calls.delete(call),
    };
    return stage;
  };

  [Symbol.dispose](): void {
    this.#blocked[Symbol.dispose]();
  }
}
