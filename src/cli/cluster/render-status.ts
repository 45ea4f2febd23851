import { type ClusterStatus, problemsOfCluster, type StorageStatus } from '#praefect/status/cluster-status';
import { type Cell, textTable } from '#tools/admin/text-table';

const HEADINGS = [
  'VIRTUAL STORAGE',
  'STORAGE',
  'HEALTH',
  'LAST SEEN',
  'PRIMARIES',
  'ASSIGNED',
  'OUTDATED',
  'JOBS',
  'OLDEST JOB',
];
const UNKNOWN = '-';

/** Returns a status as one JSON object; unknown values are null. */
export function statusData(status: ClusterStatus) {
  const problems = problemsOfCluster(status);
  return {
    ok: problems.length === 0,
    problems,
    virtual_storages: status.virtualStorages.map((each) => ({
      name: each.name,
      repositories: each.repositories ?? null,
      unavailable: each.unavailable,
      unavailable_paths: each.unavailablePaths,
      storages: each.storages.map((storage) => ({
        storage: storage.storage,
        healthy: storage.isHealthy,
        last_seen: storage.lastSeen?.toISOString() ?? null,
        primaries: storage.primaries ?? null,
        assigned: storage.assigned ?? null,
        outdated: storage.outdated,
        jobs: storage.jobs ?? null,
        oldest_job: storage.oldestJob?.toISOString() ?? null,
      })),
    })),
    praefects:
      status.praefects?.map(({ lastContact, name }) => ({ name, last_contact: lastContact.toISOString() })) ??
      null,
  };
}

/** Formats a status as a line of JSON. */
export function statusJson(status: ClusterStatus): string {
  return `${JSON.stringify(statusData(status))}\n`;
}

/** Formats a status as a table, followed by the points that an operator should check. */
export function clusterStatusText(
  status: ClusterStatus,
  { isColored, now }: { readonly isColored: boolean; readonly now: Date },
): string {
  const rows = status.virtualStorages.flatMap(({ name, storages }) =>
    storages.map((storage) => rowOf(name, storage, now)),
  );
  const problems = problemsOfCluster(status);
  return [
    textTable([HEADINGS, ...rows], isColored),
    '\n',
    ...status.virtualStorages.flatMap(({ name, repositories, unavailable, unavailablePaths }) => [
      `${name}: repositories ${count(repositories)}, unavailable ${unavailable}\n`,
      ...unavailablePaths.map((path) => `  ${JSON.stringify(path)}\n`),
      ...(unavailable > unavailablePaths.length
        ? [`  and ${unavailable - unavailablePaths.length} more\n`]
        : []),
    ]),
    ...(status.praefects ?? []).map(
      ({ lastContact, name }) => `praefect ${name}, last check ${ago(lastContact, now)}\n`,
    ),
    problems.length === 0 ? '\nEverything is healthy and up to date.\n' : '\nProblems:\n',
    ...problems.map((problem) => `  ${problem}\n`),
  ].join('');
}

function rowOf(virtualStorage: string, status: StorageStatus, now: Date): readonly Cell[] {
  const { assigned, isHealthy, jobs, lastSeen, oldestJob, outdated, primaries, storage } = status;
  return [
    virtualStorage,
    storage,
    isHealthy ? { text: 'healthy', style: 'green' } : { text: 'unhealthy', style: 'red' },
    ago(lastSeen, now),
    count(primaries),
    count(assigned),
    outdated === 0 ? '0' : { text: String(outdated), style: 'yellow' },
    count(jobs),
    ago(oldestJob, now),
  ];
}

function count(value: number | undefined): string {
  return value === undefined ? UNKNOWN : String(value);
}

/** Formats a time before now: `3s ago`, `5m ago`. */
function ago(time: Date | undefined, now: Date): string {
  if (time === undefined) return UNKNOWN;
  const seconds = Math.max(0, Math.round((now.getTime() - time.getTime()) / 1000));
  if (seconds < 120) return `${seconds}s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)}m ago`;
  return `${Math.floor(seconds / 3600)}h ago`;
}
