import type { PackLimits } from '#domain/pack-objects/pack-limits';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { packageVersion } from '#platform/process/version';
import type { BlockedCalls } from '#rpc/server/blocked-calls';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { WebhookStatus } from '#webhooks/webhook-status';
import type { RunningCalls } from '../running-calls.ts';
import type { QueueStatus, ServerStatus } from './status.ts';

export interface StatusSources {
  readonly gitVersion: string;
  readonly calls: RunningCalls;
  readonly limits: ReadonlyMap<string, MethodLimits>;
  readonly packLimits: Pick<PackLimits, 'queues'> | undefined;
  readonly gitCalls: { readonly running: number; readonly waiting: number };
  readonly registry: MetricsRegistry;
  readonly blockedCalls: Pick<BlockedCalls, 'last'>;
  readonly webhooks: (() => readonly WebhookStatus[]) | undefined;
}

/** Keys of limits in one status. */
const MAX_QUEUES = 500;
const CACHES = /^gitaly_(?!cacheinvalidator|diskcache_walker)(\w*cache|catfile_processes)/;

/** Collects what a server is doing now. It reads a file in `/proc` for each process. */
export async function serverStatus(sources: StatusSources): Promise<ServerStatus> {
  const { calls, processes, callCount } = await sources.calls.status();
  const { user, system } = process.cpuUsage();
  return {
    time: new Date().toISOString(),
    version: packageVersion(),
    git_version: sources.gitVersion,
    pid: process.pid,
    uptime_seconds: Math.round(process.uptime()),
    cpu_seconds: (user + system) / 1e6,
    memory_bytes: process.memoryUsage.rss(),
    call_count: callCount,
    calls,
    queues: queuesOf(sources),
    git: { running_calls: sources.gitCalls.running, waiting_calls: sources.gitCalls.waiting },
    processes,
    blocked: sources.blockedCalls.last,
    caches: sources.registry.values(CACHES),
    counters: sources.registry.shown(),
    ...(sources.webhooks && { webhooks: sources.webhooks() }),
  };
}

function queuesOf({ limits, packLimits }: Pick<StatusSources, 'limits' | 'packLimits'>): QueueStatus[] {
  const queues: QueueStatus[] = [];
  for (const [method, { authenticated, unauthenticated }] of limits) {
    for (const each of [authenticated, unauthenticated]) {
      if (each === undefined) continue;
      for (const { key, holders, waiting } of each.limit.entries()) {
        queues.push({
          limit: each.configKey,
          method,
          repository: key,
          caller: '',
          running: holders,
          waiting,
          max: each.limit.maxConcurrency,
        });
      }
    }
  }
  for (const { configKey, caller = '', running, waiting } of packLimits?.queues() ?? [])
    queues.push({ limit: configKey, method: 'packs', repository: '', caller, running, waiting });
  return queues.sort((a, b) => b.waiting - a.waiting || b.running - a.running).slice(0, MAX_QUEUES);
}
