import { noteBulkBytes } from '#base/memory/bulk-memory';

export interface PutInPartsOptions extends Omit<PartsOptions, 'sent'> {
  /** @returns the version of the stored object, as all do. */
  putWhole(content: Buffer): Promise<string>;
  /** @param sent receives parts that were sent, whose memory is reused. */
  putParts(parts: AsyncIterable<Buffer>, sent: Buffer[]): Promise<string>;
  /** Converts an error of the service to the one that is thrown. */
  toError(error: unknown): unknown;
}

/** Later parts are larger, up to this size, so that a large object has few enough of them. */
const MAX_GROWN_BYTES = 20 * 1024 * 1024;

/** Objects up to this size need no memory for a whole part. */
const SMALL_BYTES = 256 * 1024;
const NOTHING = Buffer.alloc(0);

interface PartsOptions {
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

/** Stores an object: in one request if it is smaller than a part, otherwise in parts. */
export async function putInParts(
  pieces: AsyncIterable<Uint8Array>,
  { putParts, putWhole, toError, ...options }: PutInPartsOptions,
): Promise<string> {
  const sent: Buffer[] = [];
  const parts = partsOf(pieces, { ...options, sent });
  try {
    const first = await parts.next();
    const start = first.value ?? Buffer.alloc(0);
    if (start.length < options.partBytes) return await putWhole(start);
    return await putParts(following(start, parts), sent);
  } catch (error) {
    throw toError(error);
  } finally {
    await parts.return(undefined);
  }
}

/** Yields the parts again after the first of them has been taken. */
async function* following(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/** Joins pieces to parts; only the last is smaller than its size. */
async function* partsOf(
  pieces: AsyncIterable<Uint8Array>,
  { partBytes, maxParts, partsPerSize, sent, tooLarge }: PartsOptions,
): AsyncGenerator<Buffer, undefined, undefined> {
  let part: Buffer = NOTHING;
  let bytes = 0;
  let count = 0;
  for await (const piece of pieces) {
    noteBulkBytes(piece.length);
    let rest = piece;
    for (;;) {
      const grown = partBytes * (1 + Math.floor(count / partsPerSize));
      const size = Math.max(partBytes, Math.min(grown, MAX_GROWN_BYTES));
      const taken = rest.subarray(0, size - bytes);
      part = roomFor(bytes + taken.length, { part, bytes, size, sent });
      // A piece is copied at once, because it may be reused before the part is complete.
      part.set(taken, bytes);
      bytes += taken.length;
      rest = rest.subarray(taken.length);
      if (bytes < size) break;
      if (count === maxParts) throw tooLarge();
      yield part;
      [part, bytes] = [NOTHING, 0];
      count++;
    }
  }
  if (bytes === 0) return undefined;
  if (count === maxParts) throw tooLarge();
  yield part.subarray(0, bytes);
  return undefined;
}

/**
 * Returns the part, or a larger copy: of the size of a part, once it is larger than a small object.
 */
function roomFor(
  needed: number,
  { part, bytes, size, sent }: { part: Buffer; bytes: number; size: number; sent: Buffer[] },
): Buffer {
  if (needed <= part.length) return part;
  const capacity =
    needed > SMALL_BYTES ? size : Math.min(Math.max(needed, part.length * 2), SMALL_BYTES, size);
  const used = capacity === size ? sent.pop() : undefined;
  const larger = used?.length === size ? used : Buffer.allocUnsafeSlow(capacity);
  larger.set(part.subarray(0, bytes));
  return larger;
}
