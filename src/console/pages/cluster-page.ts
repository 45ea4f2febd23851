import type { ClusterSource, ConsoleCluster } from '../cluster-status.ts';
import { repositoryAddress } from '../console-route.ts';
import { link, table, wideTable } from '../html/elements.ts';
import { formatCount, formatDuration, instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import { type ConsolePage, problemPage } from '../page.ts';

type VirtualStorage = ConsoleCluster['virtual_storages'][number];
type Node = VirtualStorage['storages'][number];

const UNKNOWN = 'not known';

export interface ClusterPageOptions {
  /** Virtual storage whose repositories the console shows. */
  readonly storage: string;
  readonly cluster?: ClusterSource;
}

/** Shows the nodes of a cluster, their replicas and jobs, and what is unavailable. */
export async function clusterPage({ cluster, storage }: ClusterPageOptions): Promise<ConsolePage> {
  if (cluster === undefined)
    return problemPage(
      404,
      'Not available',
      'This server is not a cluster: it keeps one copy of each repository.',
    );
  const status = await cluster();
  return {
    title: 'Cluster',
    section: 'cluster',
    isLive: true,
    data: status,
    body: html`<h1>Cluster</h1>
<div data-refresh>
${problems(status)}
${status.virtual_storages.map((each) => storageSection(each, each.name === storage))}
<h2>Praefects</h2>
${praefects(status)}
</div>`,
  };
}

function problems({ ok, problems: found }: ConsoleCluster): Html {
  if (ok) return html`<p>Everything is healthy and up to date.</p>`;
  return html`<h2>Problems</h2>
<ul>${found.map((problem) => html`<li>${problem}</li>`)}</ul>`;
}

function storageSection(storage: VirtualStorage, isShown: boolean): Html {
  const { name, repositories, storages } = storage;
  const total =
    repositories === null
      ? undefined
      : html`<p>${repositories === 1 ? '1 repository' : `${repositories} repositories`}.</p>`;
  return html`<h2>Virtual storage ${name}</h2>
${total}
${wideTable(
  `Nodes of ${name}`,
  ['Node', 'Health', 'Last seen', 'Primary of', 'Replicas', 'Not up to date', 'Jobs', 'Oldest job'],
  storages.map(nodeRow),
)}
${losses(storage, isShown)}`;
}

function nodeRow({
  assigned,
  healthy,
  jobs,
  last_seen,
  oldest_job,
  outdated,
  primaries,
  storage,
}: Node): readonly Part[] {
  return [
    storage,
    healthy ? 'healthy' : html`<strong>not healthy</strong>`,
    timeOf(last_seen),
    primaries ?? UNKNOWN,
    assigned ?? UNKNOWN,
    outdated,
    jobs ?? UNKNOWN,
    oldest_job === null ? undefined : ageOf(oldest_job),
  ];
}

function losses(
  { repositories, unavailable, unavailable_paths: paths }: VirtualStorage,
  isShown: boolean,
): Html | undefined {
  if (repositories === null) return html`<p>Replicas are known only with a database.</p>`;
  if (unavailable === 0) return html`<p>Each repository has a healthy replica that is up to date.</p>`;
  const rest = unavailable - paths.length;
  const items = paths.map((path) => {
    const text = isShown ? link(repositoryAddress(path, 'storage'), path) : path;
    return html`<li>${text}</li>`;
  });
  return html`<h3>Unavailable</h3>
<p>Without a healthy replica that is up to date, a repository cannot be written. See praefect dataloss.</p>
<ul>${items}</ul>
${rest > 0 ? html`<p>And ${rest} more.</p>` : undefined}`;
}

function praefects({ praefects: all }: ConsoleCluster): Html {
  if (all === null) return html`<p>They are known only with a database.</p>`;
  if (all.length === 0) return html`<p>None has checked the nodes in the last minute.</p>`;
  return table(
    [formatCount(all.length, 'praefect'), 'Last check of the nodes'],
    all.map(({ last_contact, name }) => [name, timeOf(last_contact)]),
  );
}

function timeOf(text: string | null): Part {
  return text === null ? UNKNOWN : html`${ageOf(text)} ago, ${instant(new Date(text))}`;
}

function ageOf(text: string): string {
  return formatDuration(Math.max(0, Date.now() - Date.parse(text)));
}
