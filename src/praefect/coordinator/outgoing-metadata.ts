import { AUTHORIZATION, CORRELATION_ID } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import { addDefaultFlags } from './default-flags.ts';

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
