import type { GitalyError } from '#base/gitaly-error';
import type { CallersLimit, Turn } from '#base/limits/limit';
import { limitFields } from '#base/limits/limit-fields';
import { LimitRefusal } from '#base/limits/limit-refusal';
import type { TokenBuckets } from '#base/limits/token-buckets';
import type { MethodLimitMetrics } from '#platform/metrics/limit-metrics';
import { USERNAME } from '#rpc/common/header-names';
import { limitError, withLimitError } from '#rpc/common/limit-error';
import { LIMIT_UNAUTHENTICATED } from '#rpc/common/limit-unauthenticated';
import type { CallStage, ServerCall, ServerInterceptor } from '../server-call.ts';

/** Limits for the calls of one RPC to one repository. */
export interface ConcurrencyLimit {
  readonly limit: CallersLimit;
  /** Where the configuration has it, for the log of a refused call. */
  readonly configKey: string;
}

/** Buckets in another process of this server. */
export interface RemoteBuckets {
  take(key: string): Promise<boolean>;
}

/** Limit of how often calls of one RPC to one repository start. */
export interface RateLimit {
  readonly buckets: Pick<TokenBuckets, 'take'> | RemoteBuckets;
  readonly configKey: string;
}

export interface MethodLimits {
  /** Applies before the others, so that a refused call does not wait. */
  readonly rate?: RateLimit | undefined;
  /** For callers with a user, and for all if there is no other. */
  readonly authenticated: ConcurrencyLimit | undefined;
  /** For callers without a user. */
  readonly unauthenticated: ConcurrencyLimit | undefined;
}

export interface LimitConcurrencyOptions {
  /** By full method name, such as `/gitaly.SSHService/SSHUploadPack`. */
  readonly limits: ReadonlyMap<string, MethodLimits>;
  readonly metrics: (service: string, method: string) => MethodLimitMetrics;
  /**
   * Called when a call begins to wait for a limit, named by its key in the configuration. Returns
   * what to call when it no longer waits.
   */
  readonly onWait?: (call: ServerCall, configKey: string) => () => void;
}

interface MethodLimiters extends MethodLimits {
  readonly metrics: MethodLimitMetrics;
}

/**
 * Returns the interceptor that limits calls by RPC and repository: how often they start, and how
 * many run at once. The key is the
 * relative path; calls without a repository are not limited. A call takes its turn when its first
 * message has arrived, and gives it back at its end.
 */
export function limitConcurrency({ limits, metrics, onWait }: LimitConcurrencyOptions): ServerInterceptor {
  const byMethod = new Map<string, MethodLimiters>();
  for (const [path, limit] of limits) {
    const [, service = '', method = ''] = path.split('/');
    byMethod.set(path, { ...limit, metrics: metrics(service, method) });
  }
  return ({ method }) => {
    const limiters = byMethod.get(method.path);
    return limiters && new LimitedCall(limiters, onWait);
  };
}

/** Holds the turn of one call. */
class LimitedCall implements CallStage {
  readonly #limiters: MethodLimiters;
  readonly #onWait: LimitConcurrencyOptions['onWait'];
  #turn: Turn | undefined;
  #isOver = false;

  constructor(limiters: MethodLimiters, onWait: LimitConcurrencyOptions['onWait']) {
    this.#limiters = limiters;
    this.#onWait = onWait;
  }

  request(call: ServerCall): void | Promise<void> {
    const key = call.targets?.repository?.relativePath;
    if (key === undefined || key === '') return;
    const { metrics, rate } = this.#limiters;
    const isAllowed = rate?.buckets.take(key) ?? true;
    if (isAllowed instanceof Promise) return this.#requestRemote(call, key, isAllowed);
    if (!isAllowed) throw tooOften(call, key, this.#limiters);
    const used = limitOf(call, this.#limiters);
    if (used === undefined) return;
    // Usually there is a turn at once. Then the call creates neither a promise nor a signal.
    const turn = used.limit.take(key);
    if (turn === undefined) return this.#wait(call, key, used);
    this.#turn = turn;
    begun(call, key, { turn, limit: used.limit, metrics });
  }

  end(): void {
    this.#isOver = true;
    this.#release();
  }

  async #requestRemote(call: ServerCall, key: string, isAllowed: Promise<boolean>): Promise<void> {
    if (!(await isAllowed)) throw tooOften(call, key, this.#limiters);
    const used = limitOf(call, this.#limiters);
    if (used !== undefined && !this.#isOver) await this.#wait(call, key, used);
  }

  async #wait(call: ServerCall, key: string, used: ConcurrencyLimit): Promise<void> {
    const { authenticated, metrics } = this.#limiters;
    const isAuthenticated = used === authenticated;
    this.#turn = await acquire(call, key, { used, isAuthenticated, metrics, onWait: this.#onWait });
    if (this.#isOver) this.#release();
  }

  #release(): void {
    if (this.#turn === undefined) return;
    this.#turn.release();
    this.#turn = undefined;
    this.#limiters.metrics.inProgress.dec();
  }
}

function isOwnLimitEnabled({ context }: ServerCall): boolean {
  return context.flags.isEnabled(LIMIT_UNAUTHENTICATED);
}

function limitOf(call: ServerCall, limiters: MethodLimiters): ConcurrencyLimit | undefined {
  const isAuthenticated = call.headers.has(USERNAME);
  const own = isAuthenticated || !isOwnLimitEnabled(call) ? undefined : limiters.unauthenticated;
  return own ?? limiters.authenticated;
}

/** Counts and logs a call of a method whose calls start too often, and returns its error. */
function tooOften(call: ServerCall, key: string, { metrics, rate }: MethodLimiters): GitalyError {
  metrics.dropped('rate', call.headers.has(USERNAME)).inc();
  call.context.log.add({
    'limit.limiting_type': 'per-rpc',
    'limit.limiting_key': key,
    'limit.concurrency_dropped': 'rate',
    'limit.config_key': rate?.configKey,
  });
  return limitError('rate limit reached');
}

interface Waiting {
  readonly used: ConcurrencyLimit;
  /** True if it is the limit for callers with a user, which may apply to others, too. */
  readonly isAuthenticated: boolean;
  readonly metrics: MethodLimitMetrics;
  readonly onWait: LimitConcurrencyOptions['onWait'];
}

async function acquire(
  call: ServerCall,
  key: string,
  { used, isAuthenticated, metrics, onWait }: Waiting,
): Promise<Turn> {
  const { limit, configKey } = used;
  let onLeave: (() => void) | undefined;
  try {
    const turn = await limit.acquire(key, {
      signal: call.context.signal,
      onWait: () => {
        metrics.queued.inc();
        const onWaited = onWait?.(call, configKey);
        onLeave = () => {
          metrics.queued.dec();
          onWaited?.();
        };
      },
    });
    return begun(call, key, { turn, limit, metrics });
  } catch (error) {
    if (!(error instanceof LimitRefusal)) throw error;
    metrics.dropped(error.reason, isAuthenticated).inc();
    call.context.log.add({
      'limit.concurrency_dropped': error.reason,
      'limit.authenticated': String(isAuthenticated),
      'limit.config_key': configKey,
    });
    logTurn(call, key, limit, 0);
    throw withLimitError(error);
  } finally {
    onLeave?.();
  }
}

interface Begun {
  readonly turn: Turn;
  readonly limit: CallersLimit;
  readonly metrics: MethodLimitMetrics;
}

/** Counts and logs a turn. */
function begun(call: ServerCall, key: string, { turn, limit, metrics }: Begun): Turn {
  metrics.acquiring.observe(turn.waitedMs / 1000);
  logTurn(call, key, limit, turn.waitedMs);
  metrics.inProgress.inc();
  return turn;
}

function logTurn(call: ServerCall, key: string, limit: CallersLimit, waitedMs: number): void {
  call.context.log.add(limitFields(limit, { type: 'per-rpc', key, waitedMs }));
}
