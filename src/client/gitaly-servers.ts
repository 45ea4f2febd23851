import { GITALY_SERVERS } from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';

/**
 * Metadata that tells a server how to reach the storages of other repositories that a call names (CreateFork, FetchSourceBranch,
 * ReplicateRepository, ResolveConflicts, cherry-picks and the like): storage name → address and token. Goes into the options of the
 * call: `{ metadata: gitalyServers({ default: { address: 'tcp://gitaly-1:8075', token } }) }`.
 */
export function gitalyServers(
  servers: Readonly<Record<string, { readonly address: string; readonly token?: string }>>,
): MetadataInit {
  const entries = Object.entries(servers).map(([name, { address, token = '' }]) => [name, { address, token }]);
  return { [GITALY_SERVERS]: Buffer.from(JSON.stringify(Object.fromEntries(entries))).toString('base64') };
}
