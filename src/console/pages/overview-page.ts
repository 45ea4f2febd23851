import type { Connection } from '#client/connection';
import { table, wideTable } from '../html/elements.ts';
import { count, formatBytes, formatDuration, instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import { plot } from '../html/plot.ts';
import type { NodeStatus, NodesSource } from '../nodes-status.ts';
import type { Page } from '../page.ts';
import type { RepositoryCatalog } from '../repositories/repository-catalog.ts';
import type { ConsoleHistory, HistorySource } from '../server-history.ts';
import type { ConsoleStatus, StatusSource } from '../server-status.ts';
import type { Visit } from '../visit.ts';

const TIMEOUT_MS = 5000;

export interface OverviewOptions {
  readonly connection: Connection;
  readonly catalog: RepositoryCatalog;
  readonly status?: StatusSource;
  readonly history?: HistorySource;
  readonly nodes?: NodesSource;
}

/** Shows whether the server and its storages work, and what it uses. */
export async function overviewPage(
  { access, signal }: Visit,
  { catalog, connection, history, nodes, status }: OverviewOptions,
): Promise<Page> {
  const calls = { signal, timeoutMs: TIMEOUT_MS };
  const [info, disks] = await Promise.all([
    connection.server.serverInfo({}, calls),
    connection.server.diskStatistics({}, calls),
  ]);
  const seesAll = await access.isAdministrator();
  const repositories = seesAll ? await catalog.count(signal) : undefined;
  const [now, lastHour, ofNodes] = seesAll
    ? await Promise.all([status?.(), history?.(), nodes?.status()])
    : [];
  const storages = info.storageStatuses.map(({ readable, storageName, writeable }) => {
    const disk = disks.storageStatuses.find((each) => each.storageName === storageName);
    const [available, used] = [Number(disk?.available ?? 0n), Number(disk?.used ?? 0n)];
    return { name: storageName, readable, writeable, availableBytes: available, usedBytes: used };
  });
  const { gitVersion, serverVersion } = info;
  return {
    title: 'Overview',
    section: 'overview',
    isLive: true,
    data: {
      serverVersion,
      gitVersion,
      storages,
      repositories,
      status: now,
      lastHour: dataOf(lastHour),
      nodes: ofNodes,
    },
    body: html`<h1>Overview</h1>
<div data-refresh>
<dl class="figures">
<dt>Version</dt><dd>${serverVersion}</dd>
<dt>git</dt><dd>${gitVersion}</dd>
${repositories === undefined ? undefined : html`<dt>Repositories</dt><dd>${repositories}</dd>`}
${now && figures(now)}
</dl>
${lastHour && plots(lastHour)}
${ofNodes && nodesTable(ofNodes)}
${now && use(now)}
${now?.backups && backups(now.backups)}
<h2>Storages</h2>
${table(
  ['Storage', 'State', 'Used', 'Available'],
  storages.map(({ availableBytes, name, readable, usedBytes, writeable }) => [
    name,
    state(readable, writeable),
    ...(usedBytes + availableBytes === 0 // of a cluster: each node has a disk
      ? ['not known', 'not known']
      : [formatBytes(usedBytes), formatBytes(availableBytes)]),
  ]),
)}
</div>`,
  };
}

/** Slow calls have their own page. */
function dataOf(history: ConsoleHistory | undefined) {
  return history && { intervalSeconds: history.interval_seconds, samples: history.samples };
}

const HOUR_SECONDS = 3600;

function plots({ interval_seconds, samples }: ConsoleHistory): Html {
  const size = HOUR_SECONDS / interval_seconds;
  const line = (title: string, key: Exclude<keyof Sample, 'time'>, format: (value: number) => string) =>
    plot({ title, size, format, values: samples.map((sample) => sample[key]) });
  const number = (value: number): string => value.toFixed(value < 10 ? 1 : 0);
  return html`<h2>The last hour</h2>
<div class="plots">
${line('Calls per second', 'calls_per_second', number)}
${line('Errors per second', 'errors_per_second', number)}
${line('Median duration', 'p50_ms', formatDuration)}
${line('99 % are faster than', 'p99_ms', formatDuration)}
${line('Memory', 'memory_bytes', formatBytes)}
${line('CPU cores', 'cpu_cores', number)}
</div>`;
}

/** Lookups in caches: the names of counters without their prefix, by result. */
const CACHES = [
  [
    'Packs of clones',
    'pack_objects_cache_lookups_total{result="hit"}',
    'pack_objects_cache_lookups_total{result="miss"}',
  ],
  ['Kept git processes', 'catfile_cache_total{type="hit"}', 'catfile_cache_total{type="miss"}'],
  [
    'Advertised references',
    'inforef_cache_hit_miss_total{type="hit"}',
    'inforef_cache_hit_miss_total{type="miss"}',
  ],
] as const;

/** Returns the hit rates of caches, and the limits for which calls wait. Praefect has neither. */
function use({ caches, git_version, queues }: ConsoleStatus): Html | undefined {
  if (git_version === '') return undefined;
  const rows = CACHES.map(([name, hitKey, missKey]) => {
    const [hits, misses] = [caches[`gitaly_${hitKey}`] ?? 0, caches[`gitaly_${missKey}`] ?? 0];
    const rate = hits + misses === 0 ? 'not used yet' : `${((100 * hits) / (hits + misses)).toFixed(0)} %`;
    return [name, hits, misses, rate];
  });
  const waiting = queues.filter((queue) => queue.waiting > 0);
  return html`<h2>Caches</h2>
${table(['Cache', 'Hits', 'Misses', 'Hit rate'], rows)}
<h2>Limits with waiting calls</h2>
${
  waiting.length === 0
    ? html`<p>No call waits.</p>`
    : table(
        ['Limit', 'Repository', 'Waiting'],
        waiting.map(({ limit, repository, waiting: count }) => [limit, repository, count]),
      )
}`;
}

function nodesTable(nodes: readonly NodeStatus[]): Html {
  return html`<h2>Nodes</h2>
${wideTable(
  'Nodes',
  ['Node', 'Running for', 'Running calls', 'Calls with git', 'CPU time', 'Memory'],
  nodes.map(({ status, storage }) =>
    status === null
      ? [storage, 'does not respond', '', '', '', '']
      : [
          storage,
          formatDuration(status.uptime_seconds * 1000),
          status.call_count,
          status.git.running_calls,
          formatDuration(status.cpu_seconds * 1000),
          formatBytes(status.memory_bytes),
        ],
  ),
)}`;
}

/** Returns the last server-side backups: how old the last good one is, and what failed. */
function backups(storages: NonNullable<ConsoleStatus['backups']>): Html {
  return html`<h2>Server-side backups</h2>
${
  storages.length === 0
    ? html`<p>None since the server has started. Backups that programs make over RPC do not count.</p>`
    : wideTable(
        'Server-side backups since the start',
        ['Storage', 'Last good one', 'Repositories', 'Failed', 'Last failure'],
        storages.map(({ done, failed, last_failure: problem, last_success: success, storage }) => [
          storage,
          success === undefined ? 'none' : instant(new Date(success)),
          done,
          failed,
          problem && html`${instant(new Date(problem.time))}, ${problem.repository}: ${problem.problem}`,
        ]),
      )
}`;
}

type Sample = ConsoleHistory['samples'][number];

function state(readable: boolean, writeable: boolean): string {
  if (readable && writeable) return 'healthy';
  return readable ? 'not writable' : 'not readable';
}

function figures({
  call_count,
  cpu_seconds,
  git,
  git_version,
  memory_bytes,
  processes,
  uptime_seconds,
}: ConsoleStatus): Html {
  return html`<dt>Running for</dt><dd>${formatDuration(uptime_seconds * 1000)}</dd>
<dt>CPU time</dt><dd>${formatDuration(cpu_seconds * 1000)}</dd>
<dt>Memory</dt><dd>${formatBytes(memory_bytes)}</dd>
<dt>Calls</dt><dd>${count(call_count, 'running call')}</dd>
${
  git_version === ''
    ? undefined
    : html`<dt>Calls with git</dt><dd>${git.running_calls}, and ${git.waiting_calls} that wait</dd>
<dt>Shared git processes</dt><dd>${processes.length}</dd>`
}`;
}
