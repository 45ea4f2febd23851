import type { Writable } from 'node:stream';

/**
 * Writes pieces to a response and ends it. While a piece is sent, the next one is requested, but
 * not a second one: a source may overwrite a piece from then on.
 *
 * @throws the error of the source or of the response; ERR_STREAM_PREMATURE_CLOSE if the client has
 *   left.
 */
export async function sendPieces(response: Writable, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const closed = Promise.withResolvers<never>();
  const onClose = (): void => closed.reject(response.errored ?? prematureClose());
  closed.promise.catch(() => {}); // also awaited below
  response.once('close', onClose);
  if (response.destroyed) onClose();
  const unlessClosed = (work: Promise<void>): Promise<void> => {
    const first = Promise.race([work, closed.promise]);
    first.catch(() => {}); // it is awaited after the next piece
    return first;
  };
  try {
    let sent = Promise.resolve();
    for await (const piece of pieces) {
      await sent;
      sent = unlessClosed(written(response, piece));
    }
    await sent;
    await unlessClosed(new Promise((resolve) => response.end(resolve)));
  } finally {
    response.off('close', onClose);
  }
}

function written(response: Writable, piece: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    response.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}

function prematureClose(): Error {
  return Object.assign(new Error('Premature close'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}
