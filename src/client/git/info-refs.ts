import type { Readable } from 'node:stream';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { type InfoRefsRequestSchema, SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import { readableFrom } from './readable-from.ts';

export type GitService = 'git-upload-pack' | 'git-receive-pack';

/**
 * Returns the advertisement of a repository's refs as the body of smart HTTP, including the service
 * header (RPCs InfoRefsUploadPack and InfoRefsReceivePack). Destroying the stream cancels the call;
 * the call's `CallError` is the stream's error.
 */
export function infoRefs(
  connection: ServiceCaller,
  service: GitService,
  request: MessageInitShape<typeof InfoRefsRequestSchema>,
  options: CallOptions = {},
): Readable {
  const smartHttp = connection.client(SmartHTTPService);
  const call = service === 'git-upload-pack' ? smartHttp.infoRefsUploadPack : smartHttp.infoRefsReceivePack;
  return readableFrom(call(request, options), ({ data }) => data);
}
