import type { ServerStatus } from './status.ts';

/** Limit of the calls and processes in one status. */
const MAX_LISTED = 500;

/**
 * Merges what the processes of a server do. Limits are those of the first one, which keeps account
 * of all.
 *
 * @param others by the numbers of their processes.
 */
export function mergeStatus(own: ServerStatus, others: ReadonlyMap<number, ServerStatus>): ServerStatus {
  const all = [[0, own] as const, ...others];
  const each = all.map(([, status]) => status);
  const calls = all.flatMap(([worker, status]) => status.calls.map((call) => ({ ...call, worker })));
  const sum = (pick: (status: ServerStatus) => number): number =>
    each.reduce((total, status) => total + pick(status), 0);
  return {
    ...own,
    cpu_seconds: sum(({ cpu_seconds }) => cpu_seconds),
    memory_bytes: sum(({ memory_bytes }) => memory_bytes),
    call_count: sum(({ call_count }) => call_count),
    calls: calls.sort((a, b) => b.age_ms - a.age_ms).slice(0, MAX_LISTED),
    git: {
      running_calls: sum(({ git }) => git.running_calls),
      waiting_calls: sum(({ git }) => git.waiting_calls),
    },
    processes: each.flatMap(({ processes }) => processes).slice(0, MAX_LISTED),
    blocked: each.flatMap(({ blocked }) => blocked).sort((a, b) => (a.time < b.time ? 1 : -1)),
    caches: sumOf(each.map(({ caches }) => caches)),
    workers: all.map(([worker, status]) => ({
      worker,
      pid: status.pid,
      uptime_seconds: status.uptime_seconds,
      cpu_seconds: status.cpu_seconds,
      memory_bytes: status.memory_bytes,
      call_count: status.call_count,
    })),
  };
}

function sumOf(values: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of values.flatMap((each) => Object.entries(each)))
    sums[name] = (sums[name] ?? 0) + value;
  return sums;
}
