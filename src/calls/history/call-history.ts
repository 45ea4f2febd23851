import { codeOf } from '#base/gitaly-error';
import { statusName } from '#base/go/status';
import { list, number, object, type Shaped, text } from '#base/shape';
import type { CallStage, ServerCall, ServerInterceptor } from '#rpc/server/server-call';
import { callTarget } from '../call-target.ts';
import { beginExplanation, callExplanation } from '../explain.ts';
import { clientOf, isEndless, userOf } from '../running-calls.ts';

/** The calls of an interval, and the state of the process at its end. */
const historySample = object({
  /** End of the interval: ISO 8601, UTC. */
  time: text,
  calls_per_second: number,
  errors_per_second: number,
  /** Durations of half of the calls, and of 99 %, are not longer. */
  p50_ms: number,
  p99_ms: number,
  memory_bytes: number,
  /** Used by this process, without git. */
  cpu_cores: number,
});

export type HistorySample = Shaped<typeof historySample>;

/** A call that took long. */
const slowCall = object({
  /** ISO 8601, UTC. */
  time: text,
  method: text,
  duration_ms: number,
  status: text,
  repository: text,
  user: text,
  client: text,
  correlation_id: text,
  explanation: callExplanation,
});

export type SlowCall = Shaped<typeof slowCall>;

/** The last hour of a server. */
export const serverHistory = object({
  interval_seconds: number,
  /** The oldest first, at most an hour. */
  samples: list(historySample),
  /** Calls that take at least this long are slow. */
  slow_ms: number,
  /** The latest first. */
  slow_calls: list(slowCall),
});

export type ServerHistory = Shaped<typeof serverHistory>;

const INTERVAL_MS = 10_000;
const HOUR_MS = 3_600_000;
const SLOW_MS = 500;
const MAX_SLOW_CALLS = 100;

/** Steps of a doubling: a quantile is at most 9 % too large. */
const STEPS = 8;
/** Up to half an hour. */
const SIZE = STEPS * 21;

/** Keeps the figures of the last hour and the last slow calls in memory. Disposing ends it. */
export class CallHistory implements Disposable {
  readonly #timer = setInterval(() => this.#sample(), INTERVAL_MS).unref();
  readonly #samples: HistorySample[] = [];
  readonly #slow: SlowCall[] = [];
  readonly #latencies = new Latencies();
  #calls = 0;
  #errors = 0;
  #cpu = process.cpuUsage();
  #sampledMs = performance.now();
  readonly #stage: CallStage = { end: (call, failure) => this.#add(call, failure) };

  /** Observes a call until its end. */
  readonly interceptor: ServerInterceptor = (call) => {
    beginExplanation(call);
    return this.#stage;
  };

  /** Returns the last hour. */
  read(): ServerHistory {
    return {
      interval_seconds: INTERVAL_MS / 1000,
      samples: this.#samples,
      slow_ms: SLOW_MS,
      slow_calls: this.#slow.toReversed(),
    };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #add(call: ServerCall, failure: unknown): void {
    if (isEndless(call)) return;
    const durationMs = performance.now() - call.startedAtMs;
    this.#calls++;
    if (failure !== undefined) this.#errors++;
    this.#latencies.add(durationMs);
    if (durationMs < SLOW_MS) return;
    this.#slow.push({
      time: new Date(call.arrivedAtMs).toISOString(),
      method: call.method.path,
      duration_ms: Math.round(durationMs),
      status: failure === undefined ? 'OK' : statusName(codeOf(failure) ?? 'UNKNOWN'),
      repository: callTarget(call).repository,
      user: userOf(call),
      client: clientOf(call),
      correlation_id: call.context.correlationId,
      explanation: beginExplanation(call).read(call),
    });
    if (this.#slow.length > MAX_SLOW_CALLS) this.#slow.shift();
  }

  #sample(): void {
    const now = performance.now();
    const seconds = Math.max(0.001, (now - this.#sampledMs) / 1000);
    const { system, user } = process.cpuUsage(this.#cpu);
    this.#samples.push({
      time: new Date().toISOString(),
      calls_per_second: this.#calls / seconds,
      errors_per_second: this.#errors / seconds,
      p50_ms: this.#latencies.quantile(0.5),
      p99_ms: this.#latencies.quantile(0.99),
      memory_bytes: process.memoryUsage.rss(),
      cpu_cores: (user + system) / 1e6 / seconds,
    });
    if (this.#samples.length > HOUR_MS / INTERVAL_MS) this.#samples.shift();
    this.#latencies.clear();
    [this.#calls, this.#errors, this.#sampledMs, this.#cpu] = [0, 0, now, process.cpuUsage()];
  }
}

/** Counts durations in steps that grow, for quantiles. */
export class Latencies {
  readonly #counts = new Uint32Array(SIZE);
  #total = 0;

  /** Adds a duration. @param ms below 1 ms they count as one. */
  add(ms: number): void {
    const step = Math.ceil(Math.log2(Math.max(1, ms)) * STEPS);
    const index = Math.min(step, SIZE - 1);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#total++;
  }

  /** Returns the duration in milliseconds that a share of the durations does not exceed; 0 without any. */
  quantile(share: number): number {
    let rest = share * this.#total;
    if (this.#total === 0) return 0;
    const index = this.#counts.findIndex((count) => {
      rest -= count;
      return rest <= 0;
    });
    return 2 ** (index / STEPS);
  }

  clear(): void {
    this.#counts.fill(0);
    this.#total = 0;
  }
}
