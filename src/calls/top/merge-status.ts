import type { ServerStatus, WorkerStatus } from './status.ts';

/** Limit of the calls and processes in one status. */
const MAX_LISTED = 500;

/**
 * Merges what the processes of a server do. What is one per server is that of the first process,
 * which also keeps account of all limits.
 *
 * @param others by the numbers of their processes.
 */
export function mergeStatus(own: ServerStatus, others: ReadonlyMap<number, ServerStatus>): ServerStatus {
  const all: readonly (readonly [worker: number, status: ServerStatus])[] = [[0, own], ...others];
  const statuses = all.map(([, status]) => status);
  const sum = (pick: (status: ServerStatus) => number): number =>
    statuses.reduce((total, status) => total + pick(status), 0);
  const shown = Map.groupBy(
    statuses.flatMap(({ counters }) => counters),
    ({ title }) => title,
  );
  return {
    ...own,
    cpu_seconds: sum(({ cpu_seconds }) => cpu_seconds),
    memory_bytes: sum(({ memory_bytes }) => memory_bytes),
    call_count: sum(({ call_count }) => call_count),
    calls: all
      .flatMap(([worker, { calls }]) => calls.map((call) => ({ ...call, worker })))
      .sort((a, b) => b.age_ms - a.age_ms)
      .slice(0, MAX_LISTED),
    git: {
      running_calls: sum(({ git }) => git.running_calls),
      waiting_calls: sum(({ git }) => git.waiting_calls),
    },
    processes: statuses.flatMap(({ processes }) => processes).slice(0, MAX_LISTED),
    blocked: statuses.flatMap(({ blocked }) => blocked).sort((a, b) => (a.time < b.time ? 1 : -1)),
    caches: sumsOf(statuses.map(({ caches }) => caches)),
    counters: [...shown.values()].flatMap((group) =>
      group.slice(0, 1).map((first) => ({ ...first, values: sumsOf(group.map(({ values }) => values)) })),
    ),
    workers: all.map(workerOf),
  };
}

function sumsOf(values: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of values.flatMap((each) => Object.entries(each)))
    sums[name] = (sums[name] ?? 0) + value;
  return sums;
}

function workerOf([worker, status]: readonly [number, ServerStatus]): WorkerStatus {
  const { call_count, cpu_seconds, memory_bytes, pid, uptime_seconds } = status;
  return { worker, pid, uptime_seconds, cpu_seconds, memory_bytes, call_count };
}
