import { formatBytes } from '#base/format-bytes';
import type { ServerStatus } from '#calls/top/status';
import type { Connection } from '#client/connection';
import type { DiskStatisticsResponse, ServerInfoResponse } from '#wire/gen/server_pb';
import { table, wideTable } from '../html/elements.ts';
import { formatCount, formatDuration, instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import { plot } from '../html/plot.ts';
import type { NodeStatus, NodesSource } from '../nodes-status.ts';
import type { ConsolePage } from '../page.ts';
import type { RepositoryCatalog } from '../repositories/repository-catalog.ts';
import type { ConsoleHistory, HistorySource } from '../server-history.ts';
import type { StatusSource } from '../server-status.ts';
import type { Visit } from '../visit.ts';
import { archiveStates, archivesTable } from './archive-states.ts';
import { backupsTable, lastBackups } from './last-backups.ts';

const TIMEOUT_MS = 5000;
/** Praefect waits for all nodes: without one that hangs, the page is shown soon. */
const DISK_TIMEOUT_MS = 2000;

export interface OverviewOptions {
  readonly connection: Connection;
  readonly catalog: RepositoryCatalog;
  readonly status?: StatusSource;
  readonly history?: HistorySource;
  readonly nodes?: NodesSource;
}

/** Shows whether the server and its storages work, and which resources it uses. */
export async function overviewPage(visit: Visit, options: OverviewOptions): Promise<ConsolePage> {
  const { archives, backups, info, lastHour, nodeDisks, now, ofNodes, repositories, storages } = await read(
    visit,
    options,
  );
  const { gitVersion, serverVersion } = info;
  return {
    title: 'Overview',
    section: 'overview',
    isLive: true,
    data: {
      serverVersion,
      gitVersion,
      storages,
      nodeDisks,
      repositories,
      status: now,
      lastHour: dataOf(lastHour),
      nodes: ofNodes,
      archives,
      backups,
    },
    body: html`<h1>Overview</h1>
<div data-refresh>
<dl class="figures">
${now && html`<dt>gitaly-ts</dt><dd>${now.version}</dd>`}
<dt>Protocol</dt><dd>Gitaly ${serverVersion}</dd>
<dt>git</dt><dd>${gitVersion}</dd>
${repositories === undefined ? undefined : html`<dt>Repositories</dt><dd>${repositories}</dd>`}
${now && figures(now)}
</dl>
${lastHour && plots(lastHour)}
${ofNodes && nodesTable(ofNodes)}
${now && use(now)}
${archives && archivesTable(archives)}
${backups && backupsTable(backups)}
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
${nodeDisks.length === 0 ? undefined : disksTable(nodeDisks)}
</div>`,
  };
}

/** Reads the parts of the overview that a client may see. */
async function read(
  { access, signal }: Visit,
  { catalog, connection, history, nodes, status }: OverviewOptions,
) {
  const calls = { signal, timeoutMs: TIMEOUT_MS };
  // In a cluster it fails while a node is down.
  const disksRead = connection.server
    .diskStatistics({}, { signal, timeoutMs: DISK_TIMEOUT_MS })
    .catch(() => undefined);
  const info = await connection.server.serverInfo({}, calls);
  const seesAll = await access.isAdministrator();
  const [repositories, now, lastHour, ofNodes, backups, archives] = seesAll
    ? await Promise.all([
        catalog.count(signal),
        status?.(),
        history?.(),
        nodes?.status(),
        lastBackups(info, connection, calls),
        archiveStates(info, connection, calls),
      ])
    : [];
  const disks = await disksRead;
  const storages = storagesOf(info, disks);
  const nodeDisks = seesAll ? nodeDisksOf(info, disks) : [];
  return { archives, backups, info, lastHour, nodeDisks, now, ofNodes, repositories, storages };
}

interface Disk {
  readonly name: string;
  readonly availableBytes: number;
  readonly usedBytes: number;
}

function disksOf(disks: DiskStatisticsResponse | undefined): readonly Disk[] {
  return (disks?.storageStatuses ?? []).map(({ available, storageName, used }) => ({
    name: storageName,
    availableBytes: Number(available),
    usedBytes: Number(used),
  }));
}

function storagesOf({ storageStatuses }: ServerInfoResponse, disks: DiskStatisticsResponse | undefined) {
  const known = disksOf(disks);
  return storageStatuses.map(({ readable, storageName: name, writeable }) => {
    const disk = known.find((each) => each.name === name);
    const { availableBytes = 0, usedBytes = 0 } = disk ?? {};
    return { name, readable, writeable, availableBytes, usedBytes };
  });
}

/** Returns the disks of the nodes of a cluster, whose storages have other names than the cluster's. */
function nodeDisksOf(
  { storageStatuses }: ServerInfoResponse,
  disks: DiskStatisticsResponse | undefined,
): readonly Disk[] {
  const own = new Set(storageStatuses.map(({ storageName }) => storageName));
  return disksOf(disks).filter(({ name }) => !own.has(name));
}

function disksTable(disks: readonly Disk[]): Html {
  return html`<h2>Disks of the nodes</h2>
${table(
  ['Storage', 'Used', 'Available'],
  disks.map(({ availableBytes, name, usedBytes }) => [
    name,
    formatBytes(usedBytes),
    formatBytes(availableBytes),
  ]),
)}`;
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
  const [first] = samples;
  const since =
    samples.length >= size
      ? undefined
      : html`<p class="note">The plots fill from the right, with a value every ${interval_seconds} seconds${
          first && [', since ', instant(new Date(first.time))]
        }.</p>`;
  return html`<h2>The last hour</h2>
${since}
<div class="plots">
${line('Calls per second', 'calls_per_second', number)}
${line('Errors per second', 'errors_per_second', number)}
${line('Median duration', 'p50_ms', formatDuration)}
${line('99 % are faster than', 'p99_ms', formatDuration)}
${line('Memory', 'memory_bytes', formatBytes)}
${line('CPU cores', 'cpu_cores', number)}
</div>`;
}

/** Returns hit rates, counters, and the limits for which calls wait. Praefect has none of them. */
function use({ counters, git_version, queues }: ServerStatus): Html | undefined {
  if (git_version === '') return undefined;
  const caches = counters.filter(({ kind }) => kind === 'cache').map(cacheRow);
  const others = counters.filter(({ kind }) => kind === 'counter').flatMap(counterRows);
  const waiting = queues.filter((queue) => queue.waiting > 0);
  return html`<h2>Caches</h2>
${table(['Cache', 'Hits', 'Misses', 'Hit rate'], caches)}
${others.length > 0 ? html`<h2>Counters</h2>\n${table(['Counter', 'Labels', 'Value'], others)}` : undefined}
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

type Shown = ServerStatus['counters'][number];

function cacheRow({ title, values }: Shown): readonly (string | number)[] {
  const countOf = (result: string): number =>
    Object.entries(values).reduce(
      (sum, [text, value]) => (text.endsWith(`"${result}"`) ? sum + value : sum),
      0,
    );
  const [hits, misses] = [countOf('hit'), countOf('miss')];
  const rate = hits + misses === 0 ? 'not used yet' : `${((100 * hits) / (hits + misses)).toFixed(0)} %`;
  return [title, hits, misses, rate];
}

function counterRows({ title, values }: Shown): (readonly (string | number)[])[] {
  return Object.entries(values).map(([labels, value]) => [title, labels, value]);
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
}: ServerStatus): Html {
  return html`<dt>Running for</dt><dd>${formatDuration(uptime_seconds * 1000)}</dd>
<dt>CPU time</dt><dd>${formatDuration(cpu_seconds * 1000)}</dd>
<dt>Memory</dt><dd>${formatBytes(memory_bytes)}</dd>
<dt>Calls</dt><dd>${formatCount(call_count, 'running call')}</dd>
${
  git_version === ''
    ? undefined
    : html`<dt>Calls with git</dt><dd>${git.running_calls}, and ${git.waiting_calls} that wait</dd>
<dt>Shared git processes</dt><dd>${processes.length}</dd>`
}`;
}
