import type { TestDatabase } from '../servers/start-postgres.ts';

/**
 * Returns the tables of a configuration of praefect, in TOML, that name its database and its nodes.
 *
 * @param addresses of the nodes `gitaly-1`, `gitaly-2`, …
 */
export function clusterTables(
  { config }: Pick<TestDatabase, 'config'>,
  addresses: readonly string[],
): string {
  const { dbname, host, user } = config;
  const nodes = addresses.map(
    (address, index) => `[[virtual_storage.node]]\nstorage = "gitaly-${index + 1}"\naddress = "${address}"\n`,
  );
  return `[database]
host = "${host}"
user = "${user}"
dbname = "${dbname}"
[[virtual_storage]]
name = "default"
${nodes.join('')}`;
}
