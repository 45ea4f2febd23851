import { codeOf } from '#base/gitaly-error';
import type { GetRepositoryMetadataResponse } from '#wire/gen/praefect_pb';
import { table } from '../html/elements.ts';
import { type Html, html } from '../html/html.ts';
import type { RepositoryVisit } from './repository-visit.ts';

/** The replicas of a repository, for a page. */
export interface Replicas {
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

/** Reads the replicas of a repository; `undefined` without a cluster that records them. */
export async function replicasOf(visit: RepositoryVisit): Promise<Replicas | undefined> {
  const { calls, connection, isCluster, path, storage } = visit;
  if (!isCluster) return undefined;
  const value = { virtualStorage: storage, relativePath: path };
  try {
    const query = { case: 'path', value } as const;
    return replicasIn(await connection.praefectInfo.getRepositoryMetadata({ query }, calls));
  } catch (error) {
    if (codeOf(error) === 'UNIMPLEMENTED') return undefined;
    throw error;
  }
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
