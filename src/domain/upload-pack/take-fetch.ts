import { PacketParser } from '#base/pkt-line/packet-parser';
import { MAX_SHAREABLE_BYTES, type ShareableRequest, shareableRequest } from './shareable-request.ts';

/** Beginning of a client's data. */
export interface TakenFetch {
  /** The client's complete request, if its answer may be shared. */
  readonly request: ShareableRequest | undefined;
  /** All data of the client, including the bytes already read, as input for git. */
  readonly input: AsyncGenerator<Uint8Array>;
}

/** A client that sends less at a time gets a git of its own. */
const MAX_CHUNKS = 4096;

/**
 * Reads from a client until its request is complete, or cannot be shared.
 *
 * @param bytes already read.
 */
export async function takeFetch(bytes: Buffer, source: AsyncIterator<Uint8Array>): Promise<TakenFetch> {
  const packets = new PacketParser();
  const chunks = [bytes];
  let size = bytes.length;
  let isOver = hasFlush(packets, bytes);
  let failure: { readonly error: unknown } | undefined;
  try {
    while (!isOver && packets.isReadable && size <= MAX_SHAREABLE_BYTES && chunks.length < MAX_CHUNKS) {
      const next = await source.next();
      if (next.done === true) break;
      const chunk = Buffer.from(next.value);
      chunks.push(chunk);
      size += chunk.length;
      isOver = hasFlush(packets, chunk);
    }
  } catch (error) {
    failure = { error };
  }
  const taken = Buffer.concat(chunks);
  const request = isOver ? shareableRequest(taken) : undefined;
  return { request, input: replay(taken, source, failure) };
}

function hasFlush(packets: PacketParser, chunk: Buffer): boolean {
  return [...packets.push(chunk)].includes('flush');
}

/** Yields the bytes already read, and then the rest or the failure behind them. */
export async function* replay(
  bytes: Buffer,
  source: AsyncIterator<Uint8Array>,
  failure: { readonly error: unknown } | undefined,
): AsyncGenerator<Uint8Array> {
  yield bytes;
  if (failure !== undefined) throw failure.error;
  yield* { [Symbol.asyncIterator]: () => source };
}
