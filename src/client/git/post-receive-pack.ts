import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { writeChunk } from '#base/streams/copy-stream';
import { type PostReceivePackRequestSchema, SmartHTTPService } from '#wire/gen/smarthttp_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { ServiceCaller } from '../call/typed-client.ts';
import { hearErrors, type Stdio } from './git-streams.ts';
import { StdinRequests } from './stdin-requests.ts';

/**
 * Serves one `POST …/git-receive-pack` (RPC PostReceivePack): `stdin` is the request body; the
 * response is written to `stdout`, which stays open. A push that hooks or git refuse is not an
 * error: the response contains the reason.
 *
 * @throws {CallError} the status of the call; {GitalyError} `stdin send error: …`
 */
export async function postReceivePack(
  connection: ServiceCaller,
  io: Pick<Stdio, 'stdin' | 'stdout'>,
  request: MessageInitShape<typeof PostReceivePackRequestSchema>,
  options: CallOptions = {},
): Promise<void> {
  using _ = hearErrors(io);
  const toRequest = (data: Uint8Array) => ({ data });
  const requests = new StdinRequests<MessageInitShape<typeof PostReceivePackRequestSchema>>(
    request,
    io.stdin,
    toRequest,
  );
  await using call = connection.client(SmartHTTPService).postReceivePack(requests, options);
  try {
    for await (const { data } of call) if (data.byteLength > 0) await writeChunk(io.stdout, data);
  } catch (error) {
    if (requests.error === undefined) throw error;
    throw new GitalyError('UNKNOWN', `stdin send error: ${messageOf(requests.error)}`, {
      cause: requests.error,
    });
  }
}
