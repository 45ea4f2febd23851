import type { Duplex } from 'node:stream';
import { readUpTo } from './read-up-to.ts';

/** Length of every magic; a plain HTTP/2 connection starts with `PRI * HTTP/`, which is as long. */
export const MAGIC_BYTES = 11;

/** First bytes of a multiplexed connection; a yamux session follows. */
export const BACKCHANNEL_MAGIC = 'backchannel';

/** First bytes of a stream that the server opened for a sidechannel; an id follows. */
export const SIDECHANNEL_MAGIC = 'sidechannel';

/**
 * Reads the first 11 bytes of a connection or stream and consumes them if they are one of `magics`.
 * Otherwise (other bytes, or an earlier end) it leaves them in the stream for the next reader and
 * returns `undefined`.
 *
 * @throws the error of the stream; the abort reason.
 */
export async function readMagic<M extends string>(
  stream: Duplex,
  magics: readonly M[],
  options: { signal?: AbortSignal } = {},
): Promise<M | undefined> {
  let magic: M | undefined;
  await readUpTo(stream, MAGIC_BYTES, {
    ...options,
    isTaken: (start) => {
      magic = magics.find((candidate) => start.equals(Buffer.from(candidate, 'latin1')));
      return magic !== undefined;
    },
  });
  return magic;
}
