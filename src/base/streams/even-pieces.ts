/**
 * Joins small pieces and splits large ones into pieces of at most `maxBytes`, in the same order.
 * Copies only joined pieces, and holds at most `maxBytes`.
 */
export function* evenPieces(pieces: Iterable<Buffer>, maxBytes: number): Generator<Buffer> {
  const joiner = new Joiner(maxBytes);
  for (const piece of pieces) yield* joiner.add(piece);
  yield* joiner.end();
}

/**
 * Does the same with pieces that arrive one after another. When the source fails, earlier pieces
 * are yielded first. @throws the error of the source.
 */
export async function* evenStream(pieces: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  const joiner = new Joiner(maxBytes);
  let failure: { readonly error: unknown } | undefined;
  try {
    for await (const piece of pieces) yield* joiner.add(piece);
  } catch (error) {
    failure = { error };
  }
  yield* joiner.end();
  if (failure !== undefined) throw failure.error;
}

class Joiner {
  readonly #maxBytes: number;
  #held: Buffer[] = [];
  #heldBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  *add(piece: Buffer): Generator<Buffer> {
    if (this.#heldBytes + piece.length > this.#maxBytes) {
      yield* this.end();
      let start = 0;
      for (; piece.length - start > this.#maxBytes; start += this.#maxBytes)
        yield piece.subarray(start, start + this.#maxBytes);
      this.#hold(start === 0 ? piece : piece.subarray(start));
    } else if (piece.length > 0) {
      this.#hold(piece);
    }
  }

  *end(): Generator<Buffer> {
    const [held, bytes] = [this.#held, this.#heldBytes];
    this.#held = [];
    this.#heldBytes = 0;
    if (bytes > 0) yield joined(held, bytes);
  }

  #hold(piece: Buffer): void {
    this.#held.push(piece);
    this.#heldBytes += piece.length;
  }
}

function joined(pieces: readonly Buffer[], bytes: number): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, bytes);
}
