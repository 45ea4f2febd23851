import { LoopSlice } from '../async/loop-turns.ts';
import { GitalyError } from '../gitaly-error.ts';

const DEFAULT_MAX_LINE_BYTES = 1 << 20;
/** The reader takes up to ten microseconds for each. */
const BATCH_LINES = 256;

/**
 * Splits bytes into lines and yields up to 256 lines of a chunk at once, in slices of the event
 * loop: a pipe may deliver megabytes in one iteration. Lines have no delimiter and are views of the
 * chunks; a last line without a delimiter counts. Batches are never empty.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED `line exceeds N bytes` when a line is longer than
 *   `maxLineBytes` (default 1 MiB), the most that is ever buffered.
 */
export async function* lineBatches(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  options: { readonly delimiter?: number; readonly maxLineBytes?: number } = {},
): AsyncGenerator<Buffer[]> {
  const { delimiter = 0x0a, maxLineBytes = DEFAULT_MAX_LINE_BYTES } = options;
  let held: Buffer[] = [];
  let heldBytes = 0;
  const slice = new LoopSlice();
  let count = 0;
  for await (const bytes of chunks) {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(delimiter); end !== -1; end = chunk.indexOf(delimiter, start)) {
      const line = chunk.subarray(start, end);
      if (heldBytes + line.length > maxLineBytes) throw tooLong(maxLineBytes);
      lines.push(heldBytes === 0 ? line : Buffer.concat([...held, line]));
      held = [];
      heldBytes = 0;
      start = end + 1;
      if (++count % BATCH_LINES > 0) continue;
      yield lines;
      lines = [];
      await slice.pause();
    }
    if (start < chunk.length) {
      held.push(chunk.subarray(start));
      heldBytes += chunk.length - start;
      if (heldBytes > maxLineBytes) throw tooLong(maxLineBytes);
    }
    if (lines.length > 0) yield lines;
  }
  if (heldBytes > 0) yield [Buffer.concat(held)];
}

function tooLong(maxLineBytes: number): GitalyError {
  return new GitalyError('RESOURCE_EXHAUSTED', `line exceeds ${maxLineBytes} bytes`);
}
