import { AUTHORIZATION } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';
import type { HandlerContext } from '#rpc/server/handler';
import { addDefaultFlags } from './default-flags.ts';

/** Name of the virtual storage, for the nodes' logs. */
const VIRTUAL_STORAGE = 'virtual_storage';

const CONNECTION_HEADERS = [
  AUTHORIZATION,
  'content-type',
  'te',
  'user-agent',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-timeout',
  ':authority',
  ':method',
  ':path',
  ':scheme',
];

/**
 * Returns the metadata of a call to a node: the client's, without what belongs to its connection
 * and with what belongs to ours.
 */
export function outgoingMetadata(context: HandlerContext, virtualStorage: string): Metadata {
  const metadata = context.headers.clone();
  for (const key of CONNECTION_HEADERS) metadata.delete(key);
  metadata.set(VIRTUAL_STORAGE, virtualStorage);
  addDefaultFlags(metadata);
  return metadata;
}
