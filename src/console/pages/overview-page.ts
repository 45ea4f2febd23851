import type { Connection } from '#client/connection';
import { table } from '../html/elements.ts';
import { count, formatBytes, formatDuration } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import type { Page } from '../page.ts';
import type { RepositoryCatalog } from '../repositories/repository-catalog.ts';
import type { ConsoleStatus, StatusSource } from '../server-status.ts';
import type { Visit } from '../visit.ts';

const TIMEOUT_MS = 5000;

export interface OverviewOptions {
  readonly connection: Connection;
  readonly catalog: RepositoryCatalog;
  readonly status?: StatusSource;
}

/** Shows whether the server and its storages work, and what it uses. */
export async function overviewPage(
  { access, signal }: Visit,
  { catalog, connection, status }: OverviewOptions,
): Promise<Page> {
  const calls = { signal, timeoutMs: TIMEOUT_MS };
  const [info, disks] = await Promise.all([
    connection.server.serverInfo({}, calls),
    connection.server.diskStatistics({}, calls),
  ]);
  // What other users do is for those who may see everything.
  const now = access.isOpen ? await status?.() : undefined;
  const repositories = access.isOpen ? await catalog.count() : undefined;
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
    data: { serverVersion, gitVersion, storages, repositories, status: now },
    body: html`<h1>Overview</h1>
<div data-refresh>
<dl class="figures">
<dt>Version</dt><dd>${serverVersion}</dd>
<dt>git</dt><dd>${gitVersion}</dd>
${repositories === undefined ? undefined : html`<dt>Repositories</dt><dd>${repositories}</dd>`}
${now && figures(now)}
</dl>
<h2>Storages</h2>
${table(
  ['Storage', 'State', 'Used', 'Available'],
  storages.map(({ availableBytes, name, readable, usedBytes, writeable }) => [
    name,
    state(readable, writeable),
    formatBytes(usedBytes),
    formatBytes(availableBytes),
  ]),
)}
</div>`,
  };
}

function state(readable: boolean, writeable: boolean): string {
  if (readable && writeable) return 'healthy';
  return readable ? 'not writable' : 'not readable';
}

function figures({
  call_count,
  cpu_seconds,
  git,
  memory_bytes,
  processes,
  uptime_seconds,
}: ConsoleStatus): Html {
  return html`<dt>Running for</dt><dd>${formatDuration(uptime_seconds * 1000)}</dd>
<dt>CPU time</dt><dd>${formatDuration(cpu_seconds * 1000)}</dd>
<dt>Memory</dt><dd>${formatBytes(memory_bytes)}</dd>
<dt>Calls</dt><dd>${count(call_count, 'running call')}</dd>
<dt>Calls with git</dt><dd>${git.running_calls}, and ${git.waiting_calls} that wait</dd>
<dt>Shared git processes</dt><dd>${processes.length}</dd>`;
}
