import { familyCalls, type ServerCalls } from '#calls/family-calls';
import { CallHistory } from '#calls/history/call-history';
import { rememberCall, runningCall } from '#calls/running-call';
import { RunningCalls } from '#calls/running-calls';
import { type StatusSources, serverStatus } from '#calls/top/server-status';
import type { ServerStatus } from '#calls/top/status';
import type { Logger } from '#platform/log/logger';
import { LOOP } from '#platform/metrics/loop-metrics';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { releaseUnless } from '#platform/process/idle-memory';
import { BlockedCalls } from '#rpc/server/blocked-calls';
import type { ServerInterceptor } from '#rpc/server/server-call';
import type { ProcessFamily } from '#workers/family';

export interface CallListOptions {
  readonly logger: Logger;
  readonly registry: MetricsRegistry;
  /** Keeps the figures of the last hour and the last slow calls. */
  readonly keepsHistory: boolean;
}

/** The calls that are being served. Those that block the event loop are reported until it is disposed. */
export class CallList implements Disposable {
  readonly #registry: MetricsRegistry;
  readonly #calls = new RunningCalls();
  readonly #blocked: BlockedCalls;
  readonly #keptMemory: Disposable;
  readonly #history: CallHistory | undefined;

  constructor({ keepsHistory, logger, registry }: CallListOptions) {
    this.#registry = registry;
    this.#history = keepsHistory ? new CallHistory() : undefined;
    this.#keptMemory = releaseUnless(() => this.#calls.isWorking);
    this.#blocked = new BlockedCalls({
      logger,
      metrics: registry.declare(LOOP),
      current: runningCall,
      running: () => this.#calls.list(),
    });
  }

  /** Keeps each call in the list until its end. */
  get interceptors(): readonly ServerInterceptor[] {
    return [this.#calls.interceptor, rememberCall];
  }

  /** Records the history; `undefined` records none. */
  get observers(): readonly ServerInterceptor[] {
    return this.#history === undefined ? [] : [this.#history.interceptor];
  }

  /** Returns the calls of all processes of this Praefect, and the work of its webhooks. */
  ofFamily(family: ProcessFamily | undefined, webhooks: StatusSources['webhooks']): ServerCalls {
    return familyCalls(
      {
        status: () => this.#status(webhooks),
        history: async () => this.#history?.read(),
        cancel: async (correlationId) => this.#calls.cancel(correlationId),
      },
      family,
    );
  }

  [Symbol.dispose](): void {
    this.#history?.[Symbol.dispose]();
    this.#blocked[Symbol.dispose]();
    this.#keptMemory[Symbol.dispose]();
  }

  /** Returns what this process does. It runs no git, and has no limits. */
  async #status(webhooks: StatusSources['webhooks']): Promise<ServerStatus> {
    return await serverStatus({
      gitVersion: '',
      calls: this.#calls,
      limits: new Map(),
      packLimits: undefined,
      gitCalls: { running: 0, waiting: 0 },
      registry: this.#registry,
      blockedCalls: this.#blocked,
      webhooks,
    });
  }
}
