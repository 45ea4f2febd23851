import { lineBatches } from '#base/streams/line-batches';

/** Limit of a record. Records contain paths, for which git has no limit. */
const MAX_RECORD_BYTES = 1 << 20;

/**
 * Splits the output of a command with `-z` into records, in batches as they arrive. A last record
 * without NUL is dropped: git was interrupted, as its exit code shows.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED when a record is longer than 1 MiB.
 */
export async function* nulRecords(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Buffer[]> {
  let isEnded = false;
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* chunks;
    isEnded = true;
  }
  for await (const batch of lineBatches(source(), { delimiter: 0, maxLineBytes: MAX_RECORD_BYTES })) {
    // After the end of the source, only an incomplete record remains.
    if (isEnded) return;
    yield batch;
  }
}
