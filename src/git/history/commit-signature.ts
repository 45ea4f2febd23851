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
const HEADERS = [Buffer.from('gpgsig '), Buffer.from('gpgsig-sha256 ')];

/**
 * Splits the contents of a commit object: the signed text omits all headers `gpgsig` and
 * `gpgsig-sha256` with their continuation lines; the first of them is the signature. Returns
 * `undefined` if there is none, or an empty one.
 */
export function splitSignature(data: Buffer): CommitSignature | undefined {
  const pieces: Buffer[] = [];
  let signature: Buffer | undefined;
  let kept = 0;
  let at = 0;
  while (at < data.length && data[at] !== LF) {
    const start = at;
    at = nextLine(data, at);
    const header = HEADERS.find((name) => isAt(data, start, name));
    if (header === undefined) continue;
    while (data[at] === SPACE) at = nextLine(data, at);
    signature ??= joinedValue(data.subarray(start + header.length, at));
    if (start > kept) pieces.push(data.subarray(kept, start));
    kept = at;
  }
  if (signature === undefined || signature.length === 0) return undefined;
  return { signature, signedText: Buffer.concat([...pieces, data.subarray(kept)]) };
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

/** Returns the value of a header that spans several lines. */
function joinedValue(lines: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < lines.length; ) {
    const end = nextLine(lines, at);
    pieces.push(lines.subarray(at > 0 ? at + 1 : at, end));
    at = end;
  }
  const value = Buffer.concat(pieces);
  return value.at(-1) === LF ? value.subarray(0, -1) : value;
}
