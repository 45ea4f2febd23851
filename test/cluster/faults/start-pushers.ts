import { join } from 'node:path';
import { initRepository } from '#testkit/repositories/init-repository';
import { until } from '#testkit/until';
import type { FaultCluster } from './fault-cluster.ts';
import { Pusher } from './pusher.ts';

const START_MS = 60_000;

/** The clients of a cluster. */
export interface StartedPushers {
  readonly pushers: readonly Pusher[];
  /** Paths on the nodes' disks by the paths of clients. */
  readonly paths: ReadonlyMap<string, string>;
}

/** Creates repositories and pushes once to each branch. */
export async function startPushers(
  cluster: FaultCluster,
  { repositories, branches }: { readonly repositories: number; readonly branches: number },
): Promise<StartedPushers> {
  const pushers: Pusher[] = [];
  const paths = new Map<string, string>();
  const connection = cluster.praefects[0]?.connection;
  // All Praefects by HTTP, then all by SSH.
  const routes = [0, 1].flatMap((kind) => cluster.praefects.flatMap((each) => each.routes[kind] ?? []));
  for (let number = 1; number <= repositories; number++) {
    const relativePath = `repository-${number}.git`;
    const repository = { storageName: 'default', relativePath };
    // A busy machine may have answered a check of health too late.
    let error: unknown;
    await until(
      async () => {
        error = await connection?.repository.createRepository({ repository }).catch((reason) => reason);
        return !(error instanceof Error);
      },
      () => `a repository is created: ${error}`,
      START_MS,
    );
    const found = await connection?.praefectInfo
      .getRepositoryMetadata({
        query: { case: 'path', value: { virtualStorage: 'default', relativePath } },
      })
      .catch(() => undefined); // a cluster without a database has the clients' paths
    paths.set(relativePath, found?.replicaPath ?? relativePath);
    for (let branch = 1; branch <= branches; branch++) {
      const directory = join(cluster.directory, `client-${number}-${branch}.git`);
      initRepository(directory);
      const pusher = new Pusher({ branch: `branch-${branch}`, directory, relativePath, routes });
      await until(
        () => pusher.push(),
        () => `a push: ${pusher.lastError}`,
        START_MS,
      );
      pushers.push(pusher);
    }
  }
  return { pushers, paths };
}
