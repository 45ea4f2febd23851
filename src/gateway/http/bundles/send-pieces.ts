import type { Writable } from 'node:stream';
import { UntilClosed } from './until-closed.ts';

/**
 * Writes pieces to a response and ends it. While a piece is sent, the next one is requested, but
 * not a second one: a source may overwrite a piece from then on.
 *
 * @throws the error of the source or of the response; ERR_STREAM_PREMATURE_CLOSE if the client has
 *   left.
 */
export async function sendPieces(response: Writable, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  using untilClosed = new UntilClosed(response);
  let sent = Promise.resolve();
  for await (const piece of pieces) {
    await sent;
    sent = untilClosed.write(piece);
  }
  await sent;
  await untilClosed.wait(new Promise((resolve) => response.end(resolve)));
}
