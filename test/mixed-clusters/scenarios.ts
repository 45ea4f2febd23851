import { existsSync } from 'node:fs';
import { gitalyServers } from '#client/index';
import { until } from '#testkit/until';
import { bytes, TIMESTAMP, USER } from '../votes/call-setting.ts';
import type { VotingSource } from './fixture.ts';
import { differences, type MixedCluster } from './mixed-cluster.ts';

/** A step, and its problems. */
type Found = readonly [what: string, problems: readonly string[]];

const LIMIT_MS = 60_000;
const READS = 60;

/** Creates repositories, which the cluster names and places, and forks and removes them. */
export async function* checkRepositories(cluster: MixedCluster): AsyncGenerator<Found> {
  const { connection, address } = cluster;
  const options = { metadata: gitalyServers({ default: { address } }) };
  for (const number of cluster.numbers) {
    const relativePath = `@hashed/aa/0${number}/created.git`;
    const repository = { storageName: 'default', relativePath, glRepository: `project-${number}` };
    const fork = { ...repository, relativePath: `@hashed/aa/0${number}/fork.git` };
    await connection.repository.createRepository({ repository, defaultBranch: bytes('trunk') });
    await connection.operation.userCommitFiles([
      {
        userCommitFilesRequestPayload: {
          case: 'header',
          value: {
            repository,
            user: USER,
            branchName: bytes('trunk'),
            commitMessage: bytes('first'),
            timestamp: TIMESTAMP,
          },
        },
      },
    ]);
    yield ['CreateRepository and UserCommitFiles', differences(await cluster.replicas(relativePath))];
    await connection.repository.createFork({ repository: fork, sourceRepository: repository }, options);
    yield ['CreateFork', differences(await cluster.replicas(fork.relativePath))];
    const paths = await cluster.directories(relativePath);
    await connection.repository.removeRepository({ repository });
    const left = paths.filter((path) => existsSync(path));
    yield ['RemoveRepository', left.map((path) => `${path} is still there`)];
  }
}

/** Reads a repository, and checks that each node serves a part of the reads. */
export async function* checkReads(cluster: MixedCluster, { ids, path }: VotingSource): AsyncGenerator<Found> {
  await cluster.addRepository(path, 'reads.git', 1);
  const repository = { storageName: 'default', relativePath: 'reads.git', glRepository: 'project-1' };
  const served = (): number[] =>
    cluster.numbers.map((number) => cluster.logOf(number).split('FindCommit').length);
  const before = served();
  const wrong: string[] = [];
  for (let read = 0; read < READS; read++) {
    const { commit } = await cluster.connection.commit.findCommit({ repository, revision: bytes('main') });
    if (commit?.id !== ids.main) wrong.push(`FindCommit: ${commit?.id}`);
  }
  const counts = served().map((count, index) => count - (before[index] ?? 0));
  if (counts.some((count) => count === 0)) wrong.push(`reads by node: ${counts.join(', ')}`);
  yield ['FindCommit', wrong];
}

/** Stops each node in turn, writes, starts it again and waits for the copy from each other node. */
export async function* checkReturns(
  cluster: MixedCluster,
  { ids, path }: VotingSource,
): AsyncGenerator<Found> {
  const { connection, numbers } = cluster;
  for (const node of numbers) {
    const primaries = numbers.filter((number) => number !== node);
    const nameOf = (primary: number): string => `${node}-from-${primary}.git`;
    for (const primary of primaries) await cluster.addRepository(path, nameOf(primary), primary);
    await cluster.stopNode(node);
    for (const primary of primaries) {
      const repository = { storageName: 'default', relativePath: nameOf(primary), glRepository: 'project-1' };
      const write = { repository, ref: bytes('refs/heads/missed'), revision: bytes(ids.after) };
      await until(
        () =>
          connection.repository.writeRef(write).then(
            () => true,
            () => false,
          ),
        'a write',
        LIMIT_MS,
      );
    }
    const behind = await cluster.replicas(nameOf(primaries[0] ?? 0));
    await cluster.startNode(node);
    for (const primary of primaries) {
      const replicas = () => cluster.replicas(nameOf(primary));
      await until(async () => differences(await replicas()).length === 0, 'a copy', LIMIT_MS).catch(() => {});
      yield [`a copy to node ${node} from node ${primary}`, differences(await replicas())];
    }
    yield [`node ${node} missed a write`, differences(behind).length > 0 ? [] : ['it did not']];
  }
}
