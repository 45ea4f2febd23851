import { messageOf } from '#base/gitaly-error';
import type { Logger } from '../log/logger.ts';
import type { AdaptiveLimitMetrics } from '../metrics/adaptive-limit-metrics.ts';
import type { Backoff, Condition, LoadSample } from './conditions.ts';

/** A limit that follows the load. */
export interface AdaptiveLimit {
  /** Name in logs and metrics, such as `perRPC/gitaly.SSHService/SSHUploadPack`. */
  readonly name: string;
  readonly limit: { readonly maxConcurrency: number; resize(maxConcurrency: number): void };
  readonly min: number;
  readonly max: number;
}

export interface AdaptiveLimitsOptions {
  readonly limits: readonly AdaptiveLimit[];
  readonly conditions: readonly Condition[];
  readonly sample: () => Promise<LoadSample>;
  readonly metrics: AdaptiveLimitMetrics;
  readonly logger: Logger;
}

// Intervals of Gitaly 19.0.
const POLL_MS = 10_000;
const CALIBRATE_MS = 30_000;
const BACKOFF_FACTOR = 0.5;

/**
 * Adapts limits to the load: additive increase, multiplicative decrease. Each calibration raises
 * every limit by one, or halves it if a condition has found a sign of overload since the last one.
 */
export class AdaptiveLimits implements Disposable {
  readonly #options: AdaptiveLimitsOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #previous: LoadSample | undefined;
  #backoff: (Backoff & { readonly condition: string }) | undefined;
  #isPolling = false;

  constructor(options: AdaptiveLimitsOptions) {
    this.#options = options;
    for (const limit of options.limits) this.#show(limit);
  }

  /** Polls and calibrates from now on, until it is disposed. */
  start(): this {
    this.#timers.push(
      setInterval(() => void this.poll(), POLL_MS).unref(),
      setInterval(() => this.calibrate(), CALIBRATE_MS).unref(),
    );
    return this;
  }

  /** Takes a sample and checks all conditions. Never rejects; does nothing while another one runs. */
  async poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const { conditions, logger, metrics, sample } = this.#options;
    try {
      const current = await sample();
      const previous = this.#previous;
      this.#previous = current;
      if (previous === undefined) return;
      for (const { name, check } of conditions) {
        const backoff = check(previous, current);
        if (backoff === undefined) continue;
        this.#backoff = { ...backoff, condition: name };
        metrics.backoffEvents.with({ watcher: name }).inc();
      }
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'could not measure the load');
    } finally {
      this.#isPolling = false;
    }
  }

  /** Moves all limits by one step. */
  calibrate(): void {
    const backoff = this.#backoff;
    this.#backoff = undefined;
    for (const adaptive of this.#options.limits) {
      const { limit, max, min, name } = adaptive;
      const previous = limit.maxConcurrency;
      const next =
        backoff === undefined
          ? Math.max(min, Math.min(max, previous + 1))
          : Math.max(min, Math.floor(previous * BACKOFF_FACTOR));
      this.#log(name, { previous_limit: previous, new_limit: next }, backoff);
      limit.resize(next);
      this.#show(adaptive);
    }
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }

  #show({ limit, name }: AdaptiveLimit): void {
    this.#options.metrics.currentLimit.with({ limit: name }).set(limit.maxConcurrency);
  }

  #log(
    name: string,
    change: Readonly<Record<string, number>>,
    backoff: (Backoff & { readonly condition: string }) | undefined,
  ): void {
    const { logger } = this.#options;
    if (backoff === undefined) {
      logger.debug({ limit_rpc: name, ...change }, 'Additive increase');
      return;
    }
    const { condition, reason, stats } = backoff;
    const shown = Object.fromEntries(Object.entries(stats).map(([key, value]) => [`stats.${key}`, value]));
    logger.info({ limit_rpc: name, ...change, condition, reason, ...shown }, 'Multiplicative decrease');
  }
}
