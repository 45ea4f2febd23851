import { Readable } from 'node:stream';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { InfoRefsRequestSchema } from '#wire/gen/smarthttp_pb';
import type { CallOptions } from './call-types.ts';
import type { Connection } from './connection.ts';

export type GitService = 'git-upload-pack' | 'git-receive-pack';

/**
 * The advertisement of a repository's refs as smart HTTP answers it, service header included (RPCs InfoRefsUploadPack and
 * InfoRefsReceivePack). Destroying the stream cancels the call; the call's `CallError` is the stream's error.
 */
export function infoRefs(
  connection: Connection,
  service: GitService,
  request: MessageInitShape<typeof InfoRefsRequestSchema>,
  options: CallOptions = {},
): Readable {
  return Readable.from(advertisement(connection, service, request, options), { objectMode: false, highWaterMark: 1 });
}

async function* advertisement(
  { smartHttp }: Connection,
  service: GitService,
  request: MessageInitShape<typeof InfoRefsRequestSchema>,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const call = service === 'git-upload-pack' ? smartHttp.infoRefsUploadPack : smartHttp.infoRefsReceivePack;
  for await (const { data } of call(request, options)) if (data.byteLength > 0) yield data;
}
