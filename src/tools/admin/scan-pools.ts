import type { Connection } from '#client/connection';
import { dialServer, readConfiguration } from './configured-server.ts';
import { type CommandStreams, goText, runCommand, withHeading } from './run-command.ts';

/** Paths in one message of ListPoolUpstreams. */
const PATHS_PER_MESSAGE = 10_000;

/** A repository that borrows objects of a pool. */
export interface PoolMember {
  readonly relativePath: string;
  readonly poolDiskPath: string;
  readonly isUpstream: boolean;
}

/**
 * Runs `gitaly pool`: finds the members of object pools on every storage of a running server, and
 * records them in its database. Resolves to the exit code, which a failure of a single storage does
 * not change.
 */
export function scanPools(configPath: string, streams: CommandStreams): Promise<number> {
  return runCommand(streams, async () => {
    const config = await readConfiguration(configPath);
    await using connection = await dialServer(config, 'dial gitaly');
    for (const { name, path } of config.storage) {
      streams.stdout.write(`\n=== Scanning storage: ${name} (${path}) ===\n`);
      try {
        await scanStorage(connection, name, streams);
      } catch (error) {
        streams.stdout.write(`ERROR: ${goText(error)}\n`);
      }
    }
    return 0;
  });
}

async function scanStorage(
  { internal }: Connection,
  storageName: string,
  { stdout }: CommandStreams,
): Promise<void> {
  const found: PoolMember[] = await withHeading(
    'scan pool metadata: receive',
    Array.fromAsync(internal.scanPoolMetadata({ storageName })),
  );
  stdout.write(`found ${found.length} pool members\n`);
  if (found.length === 0) return;
  const upstreams = await withHeading('list pool upstreams', upstreamsOf(internal, storageName, found));
  const members = found.map((member) => ({
    ...member,
    isUpstream: member.isUpstream || upstreams.get(member.poolDiskPath) === member.relativePath,
  }));
  for (const { relativePath, poolDiskPath, isUpstream } of members)
    stdout.write(`pool member: ${relativePath} -> ${poolDiskPath} [isUpstream: ${isUpstream}]\n`);
  const requests = members.map(({ relativePath, poolDiskPath, isUpstream }) => ({
    storageName,
    relativePath,
    poolDiskPath,
    isUpstream,
  }));
  await withHeading('store pool metadata', internal.storePoolMetadata(requests));
}

/** Returns the repository that each pool was made from, as GitLab has it. */
export async function upstreamsOf(
  internal: Connection['internal'],
  storageName: string,
  members: readonly PoolMember[],
): Promise<ReadonlyMap<string, string>> {
  const pools = [...new Set(members.map(({ poolDiskPath }) => poolDiskPath))];
  const upstreams = new Map<string, string>();
  const requests: { storageName: string; poolDiskPaths: string[] }[] = [];
  for (let first = 0; first < pools.length; first += PATHS_PER_MESSAGE) {
    const poolDiskPaths = pools.slice(first, first + PATHS_PER_MESSAGE);
    requests.push({ storageName: first === 0 ? storageName : '', poolDiskPaths });
  }
  for await (const response of internal.listPoolUpstreams(requests))
    for (const [pool, upstream] of Object.entries(response.upstreams)) upstreams.set(pool, upstream);
  return upstreams;
}
