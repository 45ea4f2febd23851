import { Writable } from 'node:stream';
import { Handover } from '#base/handover';

/** Takes one message for the client; resolves when the transport has taken it. */
export type Respond<M> = (message: M) => Promise<void>;

/** Largest payload of one message of a byte stream. @see Gitaly: streamio.WriteBufferSize */
export const MAX_CHUNK_BYTES = 128 * 1024;

/**
 * The response stream of an operation that pushes: what it hands to `respond` is yielded, as fast as the client takes it. A
 * client that leaves makes the next `respond` fail, and `signal` abort; the operation is waited for either way.
 */
export async function* streamResponses<M>(
  callSignal: AbortSignal,
  run: (respond: Respond<M>, signal: AbortSignal) => Promise<void>,
): AsyncGenerator<M, void, undefined> {
  const handover = new Handover<M>();
  const left = new AbortController();
  const signal = AbortSignal.any([callSignal, left.signal]);
  const running = run((message) => handover.put(message), signal).then(
    () => handover.end(),
    (error: unknown) => handover.fail(error),
  );
  let isOver = false;
  try {
    yield* handover;
    isOver = true;
  } catch (error) {
    isOver = true;
    throw error;
  } finally {
    if (!isOver) {
      left.abort();
      await handover.return();
    }
    await running;
  }
}

/** A stream whose bytes become messages of at most 128 KiB. Bytes are handed on as they are. */
export function messageWriter<M>(respond: Respond<M>, toMessage: (bytes: Uint8Array) => M): Writable {
  return new Writable({
    highWaterMark: 1, // a write is over when the transport has taken it: no second queue in front of the transport's own
    write(chunk: Buffer, _encoding, done) {
      respondInChunks(chunk, respond, toMessage).then(() => done(), done);
    },
  });
}

/** Sends bytes as messages of at most 128 KiB; no bytes, no message. */
export async function respondInChunks<M>(
  bytes: Uint8Array,
  respond: Respond<M>,
  toMessage: (bytes: Uint8Array) => M,
): Promise<void> {
  for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
    await respond(toMessage(bytes.length <= MAX_CHUNK_BYTES ? bytes : bytes.subarray(start, start + MAX_CHUNK_BYTES)));
  }
}
