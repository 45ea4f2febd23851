import { quote } from '#base/go/quote';
import type { Connection } from '#client/index';
import type { PraefectConfig } from '#praefect/config/schema';
import { type Database, sql } from '#praefect/database/database';
import { withHeading } from '#tools/admin/run-command';
import { type PoolMember, upstreamsOf } from '#tools/admin/scan-pools';
import type { PraefectInput } from './command.ts';
import { connect } from './connect.ts';
import { openDatabase } from './sql-commands.ts';

type VirtualStorage = PraefectConfig['virtualStorage'][number];
type Node = VirtualStorage['node'][number];

/** Records the members of object pools in the databases of the nodes. */
export async function recordPools({ config, print }: PraefectInput): Promise<undefined> {
  await using database = await openDatabase(config, 'open database');
  for (const virtualStorage of config.virtualStorage) {
    const { name, node: nodes } = virtualStorage;
    const found = await withHeading(
      `scan primaries for ${quote(name)}`,
      membersOnPrimaries(database, virtualStorage),
    );
    print(`found ${found.length} unique pool members in virtual storage ${quote(name)}`);
    if (found.length === 0) {
      print(`no pool members found on virtual storage ${quote(name)}, nothing to store`);
      continue;
    }
    const paths = await withHeading(`translate paths for ${quote(name)}`, relativePaths(database, found));
    const members = await withUpstreams(
      virtualStorage,
      found.map((member) => ({
        ...member,
        relativePath: paths.get(member.relativePath) ?? member.relativePath,
        poolDiskPath: paths.get(member.poolDiskPath) ?? member.poolDiskPath,
      })),
    );
    for (const node of nodes)
      await withHeading(
        `store pool members for ${quote(name)}`,
        onNode(node, 'store on', 'store pool metadata: close', ({ internal }) =>
          internal.storePoolMetadata(members.map((member) => ({ ...member, storageName: node.storage }))),
        ),
      );
    print(`stored pool metadata for virtual storage ${quote(name)} on ${nodes.length} nodes`);
  }
  return undefined;
}

/** Returns the relations that the primaries of repositories report, without duplicates. */
async function membersOnPrimaries(
  database: Database,
  { name, node: nodes }: VirtualStorage,
): Promise<readonly PoolMember[]> {
  const primaries = await database.rows(sql<{ storage: string }>`
    SELECT DISTINCT "primary" AS storage FROM repositories
    WHERE virtual_storage = ${name} AND "primary" IS NOT NULL`);
  const scanned = await Promise.all(
    primaries.map(async ({ storage }) => {
      const node = nodes.find((each) => each.storage === storage);
      if (node === undefined)
        throw new Error(`node ${quote(storage)} not found in virtual storage ${quote(name)}`);
      return await onNode(node, 'scan', 'scan pool metadata: receive', ({ internal }) =>
        Array.fromAsync(internal.scanPoolMetadata({ storageName: storage })),
      );
    }),
  );
  const unique = new Map<string, PoolMember>();
  for (const { isUpstream, poolDiskPath, relativePath } of scanned.flat())
    unique.set(JSON.stringify([relativePath, poolDiskPath]), { isUpstream, poolDiskPath, relativePath });
  return [...unique.values()];
}

/** Returns the clients' paths of repositories by their paths on the disks. */
async function relativePaths(
  database: Database,
  members: readonly PoolMember[],
): Promise<ReadonlyMap<string, string>> {
  const paths = members.flatMap(({ poolDiskPath, relativePath }) => [relativePath, poolDiskPath]);
  const rows = await database.rows(sql<{ replica_path: string; relative_path: string }>`
    SELECT replica_path, relative_path FROM repositories WHERE replica_path = ANY(${paths})`);
  return new Map(rows.map(({ relative_path, replica_path }) => [replica_path, relative_path]));
}

/** Marks the members that GitLab names as the upstream of their pool. */
async function withUpstreams(
  { name, node: [first] }: VirtualStorage,
  members: readonly PoolMember[],
): Promise<readonly PoolMember[]> {
  if (first === undefined) return members; // the configuration has a node
  const upstreams = await withHeading(
    `list pool upstreams for ${quote(name)}`,
    onNode(first, 'dial', 'receive', ({ internal }) => upstreamsOf(internal, name, members)),
  );
  return members.map((member) => ({
    ...member,
    isUpstream: member.isUpstream || upstreams.get(member.poolDiskPath) === member.relativePath,
  }));
}

/** Makes a call of a node. An error names the node and the step. */
async function onNode<T>(
  { address, storage, token }: Node,
  step: string,
  call: string,
  run: (connection: Connection) => Promise<T>,
): Promise<T> {
  await using connection = await connect(address, { prefix: `dial ${storage}`, token: token?.reveal() });
  return await withHeading(`${step} ${storage}`, withHeading(call, run(connection)));
}
