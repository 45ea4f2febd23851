import { lineBatches } from '#base/line-batches';

/** The longest record: a path, and git takes paths of any length. */
const MAX_RECORD_BYTES = 1 << 20;

/**
 * Splits the output of a command with `-z` into records, in batches as they arrive. A last record without its NUL is dropped: git was
 * interrupted, and its exit code says so.
 *
 * @throws {RangeError} when a record is longer than 1 MiB.
 */
export async function* nulRecords(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Buffer[]> {
  let isEnded = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
    isEnded = true;
  }
  for await (const batch of lineBatches(source(), { delimiter: 0, maxLineBytes: MAX_RECORD_BYTES })) {
    // What comes after the end of the source is the rest that was held back.
    if (isEnded) return;
    yield batch;
  }
}
