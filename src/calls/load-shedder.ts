import { randomUUID } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { GitalyError, messageOf } from '#base/gitaly-error';
import type { GitalyConfig } from '#platform/config/load-config';
import type { LoadSample, PressureThresholds } from '#platform/load/conditions';
import { startLoadSampler } from '#platform/load/load-sampler';
import type { Logger } from '#platform/log/logger';
import { LOAD_SHEDDER, type LoadShedderMetrics } from '#platform/metrics/load-shedder-metrics';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { ServerCall } from '#rpc/server/server-call';
import { LimitErrorSchema } from '#wire/gen/errors_pb';
import type { CallCost, RunningCalls } from './running-calls.ts';

/** Calls that carry it may be shed. With `[load_shedder]` it is on by default, unlike in Gitaly. */
const TRACK_COMMANDS = 'burdenmonitor_track_commands';

/** Number of calls that one event ends. */
const CALLS_PER_EVENT = 10;
/** Signs of one overload come together: memory pressure makes processor pressure, too. */
const PAUSE_MS = 15_000;
/** Interval of the load monitor. */
const POLL_MS = 10_000;
const REASON = 'high CPU usage';

type Resource = 'cpu' | 'memory' | 'io';

export interface SheddableCall {
  readonly cpuMs: number;
  /** @returns false if it has ended. */
  end(): Promise<boolean>;
}

export interface LoadShedderOptions extends SheddableCallsOptions {
  readonly thresholds: Readonly<Record<Resource, PressureThresholds>>;
  readonly sample: () => Promise<LoadSample>;
  /** Returns the most expensive calls of the other processes. */
  readonly others?: (() => Promise<readonly SheddableCall[]>) | undefined;
  readonly now?: () => number;
}

export interface SheddableCallsOptions {
  readonly calls: RunningCalls;
  readonly metrics: LoadShedderMetrics;
  readonly logger: Logger;
}

/** A sign of critical load, with Gitaly's names. */
interface CriticalLoad {
  readonly condition: string;
  readonly reason: string;
}

/**
 * Ends the reading calls that have used the most processor time when the load is critical: the
 * pressure of a resource is above `critical_threshold`, or the kernel has ended a process for lack
 * of memory.
 */
export class LoadShedder implements Disposable {
  readonly #options: LoadShedderOptions;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #previous: LoadSample | undefined;
  #lastShedAt = Number.NEGATIVE_INFINITY;
  #isPolling = false;

  constructor(options: LoadShedderOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Checks the load from now on, until it is disposed. */
  start(): this {
    this.#timer = setInterval(() => void this.poll(), POLL_MS).unref();
    return this;
  }

  /** Takes a sample, and ends calls if the load is critical. Never rejects. */
  async poll(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    const { logger, sample } = this.#options;
    try {
      const current = await sample();
      const critical = this.#criticalLoad(this.#previous, current);
      this.#previous = current;
      if (critical === undefined || this.#now() - this.#lastShedAt <= PAUSE_MS) return;
      this.#lastShedAt = this.#now();
      await this.#shed(critical);
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'could not measure the load');
    } finally {
      this.#isPolling = false;
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #criticalLoad(previous: LoadSample | undefined, { cgroup }: LoadSample): CriticalLoad | undefined {
    const { thresholds } = this.#options;
    for (const resource of ['cpu', 'memory', 'io'] as const) {
      const { criticalThreshold, enabled } = thresholds[resource];
      const avg60 = cgroup?.pressure[resource]?.avg60;
      if (enabled && criticalThreshold > 0 && avg60 !== undefined && avg60 >= criticalThreshold)
        return { condition: `LoadShedderPSI/${resource}`, reason: 'loadshedder_psi_critical' };
    }
    const [before, now] = [previous?.cgroup?.oomKills, cgroup?.oomKills];
    return before !== undefined && now !== undefined && now > before
      ? { condition: 'LoadShedderOOMKill', reason: 'loadshedder_oom_kill' }
      : undefined;
  }

  async #shed({ condition, reason }: CriticalLoad): Promise<void> {
    const { logger, others } = this.#options;
    const all = await Promise.all([mostExpensive(this.#options), others?.() ?? []]);
    const most = all
      .flat()
      .sort((a, b) => b.cpuMs - a.cpuMs)
      .slice(0, CALLS_PER_EVENT);
    const ended = (await Promise.all(most.map((each) => each.end()))).filter(Boolean);
    logger.warn({ condition, reason, sniped_count: ended.length }, 'load shedder cancelled in-flight RPCs');
  }
}

/** Returns the reading calls of this process that have used the most processor time. */
export async function mostExpensive(options: SheddableCallsOptions): Promise<readonly SheddableCall[]> {
  const costs = await options.calls.costs(isTracked);
  return costs
    .sort((a, b) => b.cpuMs - a.cpuMs)
    .slice(0, CALLS_PER_EVENT)
    .map((cost) => ({ cpuMs: cost.cpuMs, end: async () => endCall(options, cost) }));
}

function endCall(
  { logger, metrics }: SheddableCallsOptions,
  { call, cpuMs, memoryBytes, processes, repository }: CallCost,
): boolean {
  const detail = create(LimitErrorSchema, { errorMessage: REASON });
  const text = `RPC cancelled by load shedder: ${REASON}`;
  if (!call.fail(new GitalyError('RESOURCE_EXHAUSTED', text, { details: [detail] }))) return false;
  const { name: grpc_method, service: grpc_service } = call.method;
  metrics.shed.with({ grpc_service, grpc_method, reason: REASON }).inc();
  logger.warn(
    {
      rpc_id: randomUUID(),
      correlation_id: call.context.correlationId,
      repository,
      reason: REASON,
      cpu_time_ms: Math.round(cpuMs),
      memory_bytes: memoryBytes,
      active_cmds: processes.length,
    },
    'load shedder cancelled RPC',
  );
  return true;
}

/** Ends expensive calls under critical load until it is disposed, if that is configured. */
export function startLoadShedder(
  { adaptiveLimiting, cgroups, loadShedder }: GitalyConfig,
  { registry, groupDirectories, sharing, ...parts }: StartLoadShedderOptions,
): Disposable {
  const stack = new DisposableStack();
  const { calls } = parts;
  const metrics = registry.declare(LOAD_SHEDDER);
  registry.beforeCollect(() => metrics.tracked.set(loadShedder.enabled ? calls.count(isTracked) : 0));
  if (!loadShedder.enabled) return stack;
  if (sharing?.role === 'worker') {
    sharing.answer(() => mostExpensive({ ...parts, metrics }));
    return stack;
  }
  const sampler = stack.use(startLoadSampler({ mountpoint: cgroups.mountpoint, groupDirectories }));
  const sample = (): Promise<LoadSample> => sampler.sample();
  const thresholds = adaptiveLimiting.psiPressure;
  stack.use(new LoadShedder({ ...parts, thresholds, sample, metrics, others: sharing?.others })).start();
  return stack;
}

/** How the processes of a server find the most expensive calls of all. */
export type SheddingSharing =
  | { readonly role: 'supervisor'; readonly others: () => Promise<readonly SheddableCall[]> }
  | {
      readonly role: 'worker';
      /** Lets the supervisor request the calls of this process. */
      answer(mostExpensive: () => Promise<readonly SheddableCall[]>): void;
    };

export interface StartLoadShedderOptions {
  readonly registry: MetricsRegistry;
  readonly calls: RunningCalls;
  readonly logger: Logger;
  /** Directories of the control group of the git processes, if they have one. */
  readonly groupDirectories: readonly string[] | undefined;
  /** `undefined` for a server of one process. */
  readonly sharing: SheddingSharing | undefined;
}

/** Reports whether a call may be shed: it reads, and its flag is not off. */
export function isTracked({ context, method }: ServerCall): boolean {
  return method.operation === 'accessor' && context.flags.sent().get(TRACK_COMMANDS) !== false;
}
