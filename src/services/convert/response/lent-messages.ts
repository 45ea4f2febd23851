import { whenSent } from '#rpc/common/grpc/when-sent';
import { MAX_CHUNK_BYTES } from './stream-responses.ts';

/** Bytes whose memory is reused. */
interface LentBytes {
  readonly bytes: Buffer;
  giveBack(): void;
}

/** Yields lent bytes in messages of at most 128 KiB, and gives them back when all are sent. */
export function* lentMessages<M extends object>(
  { bytes, giveBack }: LentBytes,
  toMessage: (bytes: Buffer) => M,
): Generator<M, void, undefined> {
  for (let at = 0; at < bytes.length; at += MAX_CHUNK_BYTES) {
    const message = toMessage(bytes.subarray(at, at + MAX_CHUNK_BYTES));
    yield at + MAX_CHUNK_BYTES < bytes.length ? message : whenSent(message, giveBack);
  }
}
