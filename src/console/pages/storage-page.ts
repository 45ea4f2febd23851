import { dateOfSeconds } from '#base/date-of-seconds';
import { formatBytes } from '#base/format-bytes';
import { insteadOf } from '#base/gitaly-error';
import { repositoryFigures } from '#client/content/repository-figures';
import type { GetRepositoryMetadataResponse } from '#wire/gen/praefect_pb';
import type { RepositoryInfoResponse } from '#wire/gen/repository_pb';
import { repositoryAddress } from '../console-route.ts';
import { table } from '../html/elements.ts';
import { formatCount, instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const MAINTAINED = html`<p class="notice" role="status">The maintenance has run.</p>`;

/** The replicas of a repository, for a page. */
interface Replicas {
  /** For the JSON form. */
  readonly data: readonly ReplicaData[];
  readonly section: Html;
}

interface ReplicaData {
  readonly storage: string;
  readonly isPrimary: boolean;
  readonly isAssigned: boolean;
  readonly isHealthy: boolean;
  /** Number of writes that the replica lacks; null if it has none. */
  readonly behindBy: number | null;
}

/** Shows the disk usage of a repository, and the work that maintenance would find. */
export async function storagePage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { calls, connection, path, repository } = visit;
  const info = await connection.repository.repositoryInfo({ repository: repository.message }, calls);
  const replicas = await replicasOf(visit);
  const mayMaintain = await visit.access.mayWriteAt(path);
  return {
    title: `Storage · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, ...repositoryFigures(info), ...(replicas && { replicas: replicas.data }) },
    body: html`${frame(visit)}
<h2>Storage</h2>
<p>${formatBytes(Number(info.size))} on the disk.</p>
${table(['Part', 'Size or number', 'Note'], rowsOf(info))}
${replicas?.section}
<h2>Maintenance</h2>
${visit.query.has('maintained') ? MAINTAINED : undefined}
<p>Last complete repacking: ${lastRepack(info)}. The server maintains repositories by itself.</p>
${mayMaintain ? maintainForm(visit) : undefined}`,
  };
}

/** Runs the maintenance that a repository needs. */
export async function maintain({ calls, connection, repository }: RepositoryVisit): Promise<void> {
  await connection.repository.optimizeRepository({ repository: repository.message }, calls);
}

function maintainForm({ formParameters: query, path }: RepositoryVisit): Html {
  return html`<form method="post" action="${repositoryAddress(path, 'storage', { query })}">
<button>Run the maintenance that is needed now</button>
</form>`;
}

function rowsOf(info: RepositoryInfoResponse): (readonly Part[])[] {
  const { hasBitmap, hasCommitGraph, objects, references } = repositoryFigures(info);
  return [
    [
      'Objects',
      formatBytes(objects.bytes),
      `${formatCount(objects.packfiles, 'pack')}, ${formatCount(objects.loose, 'loose object')}`,
    ],
    ['… in use', formatBytes(objects.recentBytes), 'packed, and loose ones of the last days'],
    ['… unreachable', formatBytes(objects.staleBytes), 'removed by maintenance'],
    ['… kept', formatBytes(objects.keptBytes), 'packs that are not repacked'],
    ['Packed references', formatBytes(references.packedBytes), `${references.loose} loose references`],
    ['Commit graph', hasCommitGraph ? 'yes' : 'no', 'makes history faster'],
    ['Bitmap', hasBitmap ? 'yes' : 'no', 'makes clones faster'],
  ];
}

function lastRepack({ lastFullRepack }: RepositoryInfoResponse): Part {
  if (lastFullRepack === undefined) return 'never';
  return instant(dateOfSeconds(lastFullRepack.seconds));
}

/** Reads the replicas of a repository; `undefined` without a cluster that records them. */
async function replicasOf(visit: RepositoryVisit): Promise<Replicas | undefined> {
  const { calls, connection, isCluster, path, storage } = visit;
  if (!isCluster) return undefined;
  const query = { case: 'path', value: { virtualStorage: storage, relativePath: path } } as const;
  const metadata = connection.praefectInfo.getRepositoryMetadata({ query }, calls);
  const found = await metadata.catch(insteadOf('UNIMPLEMENTED', undefined));
  return found && replicasIn(found);
}

function replicasIn({ generation, primary, replicas }: GetRepositoryMetadataResponse): Replicas {
  const data = replicas.map((replica) => ({
    storage: replica.storage,
    isPrimary: replica.storage === primary,
    isAssigned: replica.assigned,
    isHealthy: replica.healthy,
    behindBy: replica.generation < 0n ? null : Number(generation - replica.generation),
  }));
  const rows = data.map(({ behindBy, isAssigned, isHealthy, isPrimary, storage }) => [
    storage,
    isPrimary ? 'decides' : isAssigned ? 'votes' : 'is not assigned',
    isHealthy ? 'healthy' : html`<strong>not healthy</strong>`,
    stateOf(behindBy),
  ]);
  return { data, section: html`<h2>Replicas</h2>\n${table(['Node', 'Role', 'Health', 'State'], rows)}` };
}

function stateOf(behindBy: number | null): string {
  if (behindBy === null) return 'missing';
  return behindBy === 0 ? 'up to date' : `behind by ${behindBy}`;
}
