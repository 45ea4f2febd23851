import { Readable } from 'node:stream';
import { copyStream } from '#base/copy-stream';
import { wrap } from '#base/gitaly-error';
import type { Stdio } from './git-streams.ts';
import type { SidechannelConnection } from './sidechannel-registry.ts';

/**
 * Sends `stdin` and then the half close, while `receive` takes what the server sends. Done when `receive` is: a `stdin` that never
 * ends does not hold it up.
 *
 * @throws {GitalyError} `copy request: …`, `close request: …`, `copy response: …`
 */
export async function exchange(
  connection: SidechannelConnection,
  stdin: Stdio['stdin'],
  receive: (connection: SidechannelConnection) => Promise<void>,
): Promise<void> {
  const receiving = receive(connection).catch((error) => {
    throw wrap(error, 'copy response', 'UNKNOWN');
  });
  const sending = send(connection, stdin);
  sending.catch(() => {}); // it may fail after the answer is complete, when nobody cares
  const { promise: sendFailed, reject } = Promise.withResolvers<never>();
  sendFailed.catch(() => {});
  sending.catch(reject);
  await Promise.race([receiving, sendFailed]);
}

async function send(connection: SidechannelConnection, stdin: Stdio['stdin']): Promise<void> {
  // The caller's stream outlives the exchange, so leaving early must not destroy it.
  const source = stdin instanceof Readable ? stdin.iterator({ destroyOnReturn: false }) : stdin;
  await copyStream(source, connection).catch((error) => {
    throw wrap(error, 'copy request', 'UNKNOWN');
  });
  await connection.closeWrite().catch((error) => {
    throw wrap(error, 'close request', 'UNKNOWN');
  });
}
