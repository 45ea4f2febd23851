import { type FeatureFlag, FLAG_PREFIX, flagHeader, olderFlagHeader } from '#platform/flags/feature-flags';
import { AUTHORIZATION, CORRELATION_ID } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';

/** Name of the virtual storage, for the nodes' logs. */
const VIRTUAL_STORAGE = 'virtual_storage';

/** Headers of the client that a node does not receive. Those with a colon never pass. */
const DROPPED_HEADERS: ReadonlySet<string> = new Set([
  AUTHORIZATION,
  VIRTUAL_STORAGE,
  'content-type',
  'te',
  'user-agent',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
]);

/**
 * Returns the metadata of a call to a node: the client's metadata without the keys of its
 * connection, plus the keys of our connection to the node.
 */
export function outgoingMetadata(context: HandlerContext, virtualStorage: string): Metadata {
  const metadata = context.headers.without(DROPPED_HEADERS);
  metadata.append(VIRTUAL_STORAGE, virtualStorage);
  // The correlation id of the access line, also if the client sent none.
  if (!metadata.get(CORRELATION_ID)) metadata.set(CORRELATION_ID, context.correlationId);
  addDefaultFlags(metadata);
  return metadata;
}

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
