import { Writable } from 'node:stream';
import { Handover } from '#base/streams/handover';

/** Takes one message for the client; resolves when the transport has taken it. */
export type Respond<M> = (message: M) => Promise<void>;

/** Largest payload of one message of a byte stream. @see Gitaly: streamio.WriteBufferSize */
export const MAX_CHUNK_BYTES = 128 * 1024;

/**
 * Returns the response stream of an operation that pushes. Messages passed to `respond` are yielded
 * at the client's speed. If a client disconnects, the next `respond` fails and `signal` aborts; the
 * stream waits for the operation in either case.
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

/**
 * Creates a stream whose bytes become messages of at most 128 KiB. Bytes are not copied. When the
 * client has left, writes fail.
 */
export function messageWriter<M>(respond: Respond<M>, toMessage: (bytes: Uint8Array) => M): Writable {
  const writer = new Writable({
    // A write completes when the transport has taken it, so there is only the transport's queue.
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      respondInChunks(chunk, respond, toMessage).then(() => done(), done);
    },
  });
  // The write reports that the client has left; without a listener the event would end the process.
  return writer.on('error', () => {});
}

/** Sends bytes as messages of at most 128 KiB; no bytes, no message. */
export async function respondInChunks<M>(
  bytes: Uint8Array,
  respond: Respond<M>,
  toMessage: (bytes: Uint8Array) => M,
): Promise<void> {
  for (let start = 0; start < bytes.length; start += MAX_CHUNK_BYTES) {
    await respond(
      toMessage(bytes.length <= MAX_CHUNK_BYTES ? bytes : bytes.subarray(start, start + MAX_CHUNK_BYTES)),
    );
  }
}
