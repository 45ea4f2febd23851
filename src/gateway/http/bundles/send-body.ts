import type { Writable } from 'node:stream';
import { UntilClosed } from './until-closed.ts';

/**
 * Writes pieces to a response and ends it. While a piece is sent, the next one is requested, but
 * not a second one: a source may overwrite a piece from then on.
 *
 * @param sizeBytes size of all pieces, which the client expects.
 * @throws the error of the source or of the response; ERR_STREAM_PREMATURE_CLOSE if the client has
 *   left; {Error} if the source has another size: the response is open then.
 */
export async function sendBody(
  response: Writable,
  pieces: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): Promise<void> {
  let left = sizeBytes;
  using untilClosed = new UntilClosed(response);
  let sent = Promise.resolve();
  for await (const piece of pieces) {
    await sent;
    left -= piece.length;
    if (left < 0) break;
    sent = untilClosed.write(piece);
  }
  await sent;
  if (left !== 0) throw new Error('the object was changed while it was sent');
  await untilClosed.wait(new Promise((resolve) => response.end(resolve)));
}
