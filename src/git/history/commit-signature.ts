import { LoopSlice } from '#base/async/loop-turns';

/** A commit's signature and the signed text. */
export interface CommitSignature {
  /**
   * The value of the first signature header without its last newline and without the spaces that
   * continue a header.
   */
  readonly signature: Buffer;
  /** The commit object without its signature headers. */
  readonly signedText: Buffer;
}

const LF = 0x0a;
const SPACE = 0x20;
const NOTHING = Buffer.alloc(0);
const HEADERS = [Buffer.from('gpgsig '), Buffer.from('gpgsig-sha256 ')];

/**
 * Splits the contents of a commit object: the signed text omits all headers `gpgsig` and
 * `gpgsig-sha256` with their continuation lines; the first of them is the signature. Returns
 * `undefined` if there is none, or an empty one. Reads in slices of the event loop: there may be
 * millions of lines.
 */
export async function splitSignature(data: Buffer): Promise<CommitSignature | undefined> {
  const slice = new LoopSlice();
  const signedText = new Kept(data.length);
  let signature: Kept | undefined;
  let isFirst = false;
  let isSignature = false;
  let at = 0;
  while (at < data.length && data[at] !== LF) {
    const end = nextLine(data, at);
    const header = HEADERS.find((name) => isAt(data, at, name));
    if (header !== undefined) {
      isSignature = true;
      isFirst = signature === undefined;
      signature ??= new Kept(data.length - at);
      if (isFirst) signature.add(data, at + header.length, end);
    } else if (!isSignature || data[at] !== SPACE) {
      isSignature = false;
      signedText.add(data, at, end);
    } else if (isFirst) signature?.add(data, at + 1, end);
    at = end;
    if (slice.isOverAfterItem()) await slice.pause();
  }
  const value = signature === undefined ? NOTHING : withoutNewline(signature.bytes);
  if (value.length === 0) return undefined;
  signedText.add(data, at, data.length);
  return { signature: value, signedText: signedText.bytes };
}

/** Parts of a text, copied into memory for all of it: as views they would take a hundred times as much. */
class Kept {
  readonly #buffer: Buffer;
  #length = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  add(data: Buffer, start: number, end: number): void {
    this.#length += data.copy(this.#buffer, this.#length, start, end);
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

/** Reports whether the bytes are at a position: faster than a view of each line. */
function isAt(data: Buffer, at: number, bytes: Buffer): boolean {
  for (let index = 0; index < bytes.length; index++) if (data[at + index] !== bytes[index]) return false;
  return true;
}

/** Returns the position after the line at a position. */
function nextLine(data: Buffer, at: number): number {
  const lf = data.indexOf(LF, at);
  return lf === -1 ? data.length : lf + 1;
}

function withoutNewline(value: Buffer): Buffer {
  return value.at(-1) === LF ? value.subarray(0, -1) : value;
}
