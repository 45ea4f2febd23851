import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusterTables } from './praefect/cluster-tables.ts';
import { programCommand } from './program-command.ts';
import { type RunResult, run } from './run-program.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import type { TestCluster } from './start-cluster.ts';
import type { TestDatabase } from './start-postgres.ts';

/** Runs a command of `praefect` with the configuration of a cluster with a database. */
export async function runPraefect(
  { cluster, postgres }: { cluster: Pick<TestCluster, 'address' | 'nodes'>; postgres: TestDatabase },
  ...args: string[]
): Promise<RunResult> {
  const directory = makeScratchDirectory('praefect-command');
  const path = join(directory, 'config.toml');
  const addresses = cluster.nodes.map(({ address }) => address);
  writeFileSync(
    path,
    `socket_path = "${cluster.address.slice('unix:'.length)}"
${clusterTables(postgres, addresses)}`,
  );
  try {
    return await run(process.execPath, [...programCommand('praefect'), '--config', path, ...args]);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
