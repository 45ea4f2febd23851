import { type FeatureFlag, FLAG_PREFIX, flagHeader, olderFlagHeader } from '#platform/flags/feature-flags';
import type { Metadata } from '#rpc/common/metadata';

/** The flags that our nodes check, with their defaults. */
export const KNOWN_FLAGS: readonly FeatureFlag[] = [
  { name: 'bundle_generation', onByDefault: false },
  { name: 'bundle_uri', onByDefault: false },
  { name: 'fetch_remote_proactive_auth', onByDefault: false },
  { name: 'gpg_signing', onByDefault: true },
  { name: 'limit_unauthenticated', onByDefault: true },
  { name: 'mailmap_options', onByDefault: true },
  { name: 'new_repo_reftable_backend', onByDefault: false },
  { name: 'receive_pack_trace2_hook', onByDefault: false },
  { name: 'ref_iterator', onByDefault: true },
];

const DEFAULTS = KNOWN_FLAGS.map(({ name, onByDefault }) => ({
  header: flagHeader(name),
  olderHeader: olderFlagHeader(name),
  value: String(onByDefault),
}));

/**
 * Adds each known flag that the client did not send, so that all nodes of a call decide alike: they
 * may have different versions with different defaults.
 */
export function addDefaultFlags(metadata: Metadata): void {
  const sent = metadata.pairsWithPrefix(FLAG_PREFIX);
  for (const { header, olderHeader, value } of DEFAULTS)
    if (!hasKey(sent, header) && !hasKey(sent, olderHeader)) metadata.appendWire(header, value);
}

/** @param pairs key, value, key, value, … */
function hasKey(pairs: readonly string[], key: string): boolean {
  for (let at = 0; at < pairs.length; at += 2) if (pairs[at] === key) return true;
  return false;
}
