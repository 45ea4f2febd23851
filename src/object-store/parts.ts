import { noteBulkBytes } from '#base/bulk-memory';

/** Later parts are larger, up to this size, so that a large object has few enough of them. */
const MAX_GROWN_BYTES = 20 * 1024 * 1024;

export interface PartsOptions {
  /** Bytes of the first parts. */
  readonly partBytes: number;
  /** Largest number of parts of the service. */
  readonly maxParts: number;
  /** Number of parts after which their size grows by `partBytes`. */
  readonly partsPerSize: number;
  /** Parts that are used again: new ones would be freed late, by full collections only. */
  readonly sent: Buffer[];
  readonly tooLarge: () => Error;
}

/** Joins pieces to parts; only the last is smaller than its size. */
export async function* partsOf(
  pieces: AsyncIterable<Uint8Array>,
  { partBytes, maxParts, partsPerSize, sent, tooLarge }: PartsOptions,
): AsyncGenerator<Buffer, undefined, undefined> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  let count = 0;
  for await (const piece of pieces) {
    noteBulkBytes(piece.length);
    let rest = piece;
    for (;;) {
      const grown = partBytes * (1 + Math.floor(count / partsPerSize));
      const size = Math.max(partBytes, Math.min(grown, MAX_GROWN_BYTES));
      const taken = rest.subarray(0, size - bytes);
      gathered.push(taken);
      bytes += taken.length;
      rest = rest.subarray(taken.length);
      if (bytes < size) break;
      if (count === maxParts) throw tooLarge();
      const part = sent.pop();
      yield joined(gathered, part?.length === size ? part : Buffer.allocUnsafeSlow(size));
      [gathered, bytes] = [[], 0];
      count++;
    }
  }
  if (bytes > 0) yield Buffer.concat(gathered, bytes);
  return undefined;
}

/** Yields the parts again after the first of them has been taken. */
export async function* following(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/** Copies pieces into a buffer of their size. */
function joined(pieces: readonly Uint8Array[], target: Buffer): Buffer {
  let end = 0;
  for (const piece of pieces) {
    target.set(piece, end);
    end += piece.length;
  }
  return target;
}
