/** Longest span; a line feed ends one earlier. @see git: diffcore-delta.c */
const MAX_SPAN_BYTES = 64;
/** Number of hash values. */
const HASHES = 107_927;
const SECOND_FACTOR = 0x61;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Bytes by hash of their span. One instance is enough, because counting never waits. */
const bytesByHash = new Uint32Array(HASHES);

/** The bytes of a file by the hashes of their spans, for git's estimate of similarity. */
export interface Spans {
  /** Different hashes, the smallest first. */
  readonly hashes: Uint32Array;
  /** Number of bytes with each hash. */
  readonly counts: Uint32Array;
}

export interface SpanRules {
  /** Ignores the carriage return before a line feed. */
  readonly isText: boolean;
  /** Counts the bytes after the last complete span. */
  readonly countsRest: boolean;
}

/** Counts the spans of a file. Blocks the event loop for some milliseconds per megabyte. */
export function countSpans(bytes: Buffer, { isText, countsRest }: SpanRules): Spans {
  const found: number[] = [];
  let [first, second, length] = [0, 0, 0];
  const end = bytes.length;
  for (let at = 0; at < end; at++) {
    const byte = bytes[at] ?? 0;
    if (isText && byte === CARRIAGE_RETURN && bytes[at + 1] === LINE_FEED) continue;
    const shifted = (first << 7) ^ (second >>> 25);
    second = (second << 7) ^ (first >>> 25);
    first = (shifted + byte) | 0;
    length++;
    if (length < MAX_SPAN_BYTES && byte !== LINE_FEED) continue;
    addSpan(found, hashOf(first, second), length);
    [first, second, length] = [0, 0, 0];
  }
  if (countsRest && length > 0) addSpan(found, hashOf(first, second), length);
  const hashes = Uint32Array.from(found).sort();
  const counts = hashes.map((hash) => bytesByHash[hash] ?? 0);
  for (const hash of hashes) bytesByHash[hash] = 0;
  return { hashes, counts };
}

/** Returns the number of bytes that two files share. */
export function sharedBytes(left: Spans, right: Spans): number {
  let shared = 0;
  for (let at = 0, other = 0; at < left.hashes.length && other < right.hashes.length; ) {
    const difference = (left.hashes[at] ?? 0) - (right.hashes[other] ?? 0);
    if (difference === 0) shared += Math.min(left.counts[at] ?? 0, right.counts[other] ?? 0);
    if (difference <= 0) at++;
    if (difference >= 0) other++;
  }
  return shared;
}

function hashOf(first: number, second: number): number {
  return ((first + Math.imul(second, SECOND_FACTOR)) >>> 0) % HASHES;
}

function addSpan(found: number[], hash: number, length: number): void {
  const count = bytesByHash[hash] ?? 0;
  if (count === 0) found.push(hash);
  bytesByHash[hash] = count + length;
}
