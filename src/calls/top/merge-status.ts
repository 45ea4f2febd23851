import type { ServerStatus, WorkerStatus } from './status.ts';

/** Limit of the calls and processes in one status. */
const MAX_LISTED = 500;

type Statuses = readonly (readonly [worker: number, status: ServerStatus])[];

/** How the processes of a server add up, for each field of their status. */
const MERGED: { readonly [K in keyof ServerStatus]-?: (all: Statuses) => ServerStatus[K] } = {
  time: first('time'),
  version: first('version'),
  git_version: first('git_version'),
  pid: first('pid'),
  uptime_seconds: first('uptime_seconds'),
  cpu_seconds: sum(({ cpu_seconds }) => cpu_seconds),
  memory_bytes: sum(({ memory_bytes }) => memory_bytes),
  call_count: sum(({ call_count }) => call_count),
  calls: (all) =>
    all
      .flatMap(([worker, { calls }]) => calls.map((call) => ({ ...call, worker })))
      .sort((a, b) => b.age_ms - a.age_ms)
      .slice(0, MAX_LISTED),
  // The first process keeps account of all limits.
  queues: first('queues'),
  git: (all) => ({
    running_calls: sum(({ git }) => git.running_calls)(all),
    waiting_calls: sum(({ git }) => git.waiting_calls)(all),
  }),
  processes: (all) => all.flatMap(([, { processes }]) => processes).slice(0, MAX_LISTED),
  blocked: (all) => all.flatMap(([, { blocked }]) => blocked).sort((a, b) => (a.time < b.time ? 1 : -1)),
  caches: (all) => sumsOf(all.map(([, { caches }]) => caches)),
  counters: (all) => {
    const byTitle = Map.groupBy(
      all.flatMap(([, { counters }]) => counters),
      ({ title }) => title,
    );
    return [...byTitle.values()].flatMap(([shown, ...others]) =>
      shown === undefined
        ? []
        : [{ ...shown, values: sumsOf([shown, ...others].map(({ values }) => values)) }],
    );
  },
  webhooks: first('webhooks'),
  workers: (all) => all.map(workerOf),
};

function first<K extends keyof ServerStatus>(name: K): (all: Statuses) => ServerStatus[K] {
  // There is one status at least.
  return ([own]) => own?.[1][name] as ServerStatus[K];
}

function sum(pick: (status: ServerStatus) => number): (all: Statuses) => number {
  return (all) => all.reduce((total, [, status]) => total + pick(status), 0);
}

function sumsOf(values: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of values.flatMap((each) => Object.entries(each)))
    sums[name] = (sums[name] ?? 0) + value;
  return sums;
}

function workerOf([worker, status]: Statuses[number]): WorkerStatus {
  const { call_count, cpu_seconds, memory_bytes, pid, uptime_seconds } = status;
  return { worker, pid, uptime_seconds, cpu_seconds, memory_bytes, call_count };
}

/**
 * Merges what the processes of a server do.
 *
 * @param others by the numbers of their processes.
 */
export function mergeStatus(own: ServerStatus, others: ReadonlyMap<number, ServerStatus>): ServerStatus {
  const all: Statuses = [[0, own], ...others];
  const merged = Object.entries(MERGED).map(([name, merge]) => [name, merge(all)] as const);
  // The table has all fields; one that no process has is left out.
  return Object.fromEntries(merged.filter(([, value]) => value !== undefined)) as unknown as ServerStatus;
}
