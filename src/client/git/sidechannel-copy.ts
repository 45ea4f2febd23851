import { wrapped } from '#base/gitaly-error';
import { copyStream } from '#base/streams/copy-stream';
import { stoppableChunks } from '#base/streams/stoppable-chunks';
import type { SidechannelConnection } from '../sidechannel-registry.ts';
import type { Stdio } from './git-streams.ts';

/**
 * Sends `stdin` and then the half close, while `receive` reads the server's data. Resolves when
 * `receive` does: a `stdin` that never ends does not delay it.
 *
 * @throws {GitalyError} `copy request: …`, `close request: …`, `copy response: …`
 */
export async function exchange(
  connection: SidechannelConnection,
  stdin: Stdio['stdin'],
  receive: (connection: SidechannelConnection) => Promise<void>,
): Promise<void> {
  const chunks = stoppableChunks(stdin);
  const sending = send(connection, chunks);
  const sendFailure = Promise.withResolvers<never>();
  sending.catch(sendFailure.reject);
  const receiving = receive(connection).catch(wrapped('copy response', 'UNKNOWN'));
  try {
    await Promise.race([receiving, sendFailure.promise]);
  } finally {
    await chunks.return?.();
  }
}

async function send(connection: SidechannelConnection, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await copyStream(chunks, connection).catch(wrapped('copy request', 'UNKNOWN'));
  await connection.closeWrite().catch(wrapped('close request', 'UNKNOWN'));
}
