import { GITALY_SERVERS } from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';

/**
 * Returns metadata with the addresses and tokens of storages, for calls that name a repository of
 * another storage (CreateFork, FetchSourceBranch, ReplicateRepository, ResolveConflicts,
 * cherry-picks and similar). Pass it in the options of the call: `{ metadata: gitalyServers({
 * default: { address: 'tcp://gitaly-1:8075', token } }) }`.
 */
export function gitalyServers(
  servers: Readonly<Record<string, { readonly address: string; readonly token?: string }>>,
): MetadataInit {
  const entries = Object.entries(servers).map(([name, { address, token = '' }]) => [
    name,
    { address, token },
  ]);
  return { [GITALY_SERVERS]: Buffer.from(JSON.stringify(Object.fromEntries(entries))).toString('base64') };
}
