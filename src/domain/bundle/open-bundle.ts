import { BundleHeader } from './bundle-header.ts';

const SIGNATURE = /^# v[23] git bundle\n/;
const SIGNATURE_BYTES = 16;
/** Size of a header in memory that grows. A longer one is read again, from a file. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/** Enough for most headers. */
const FIRST_BYTES = 16 * 1024;
const END_OF_HEADER = '\n\n';

/** A bundle after its header. (git: Documentation/gitformat-bundle) */
export interface OpenedBundle {
  /**
   * Everything up to and including the empty line; only the start if there is none or it is too
   * long.
   */
  readonly head: Buffer;
  /**
   * False for bytes that git must not receive, because it also accepts files other than bundles.
   */
  readonly isBundle: boolean;
  /** `head`, if it is complete; `undefined` for one that only git can read. */
  readonly header: BundleHeader | undefined;
  /** The bytes after `head`. */
  readonly rest: AsyncIterable<Uint8Array>;
}

/** Reads the header of a bundle from a client. @throws the errors of `pieces`. */
export async function openBundle(pieces: AsyncIterable<Uint8Array>): Promise<OpenedBundle> {
  const source = pieces[Symbol.asyncIterator]();
  const bytes = new GrowingBytes();
  let end = -1;
  while (end < 0 && bytes.length <= MAX_HEADER_BYTES) {
    const { done, value } = await source.next();
    if (done) break;
    // The end may be split between two pieces.
    const from = Math.max(0, bytes.length - END_OF_HEADER.length);
    bytes.append(value);
    if (bytes.length >= SIGNATURE_BYTES && !isSignature(bytes.all)) break;
    end = bytes.all.indexOf(END_OF_HEADER, from);
  }
  const read = bytes.all;
  const head = end < 0 ? read : read.subarray(0, end + END_OF_HEADER.length);
  return {
    head,
    isBundle: isSignature(read),
    header: end < 0 ? undefined : BundleHeader.parse(head),
    rest: restOf(read.subarray(head.length), source),
  };
}

/** Bytes that are added in small pieces. Each is copied a few times at most. */
class GrowingBytes {
  #buffer = Buffer.alloc(FIRST_BYTES);
  length = 0;

  get all(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  append(piece: Uint8Array): void {
    const length = this.length + piece.length;
    if (length > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(2 * this.#buffer.length, length));
      this.all.copy(larger);
      this.#buffer = larger;
    }
    this.#buffer.set(piece, this.length);
    this.length = length;
  }
}

function isSignature(start: Buffer): boolean {
  return SIGNATURE.test(start.toString('latin1', 0, SIGNATURE_BYTES));
}

async function* restOf(first: Uint8Array, source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (first.length > 0) yield first;
    for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
  } finally {
    await source.return?.();
  }
}
