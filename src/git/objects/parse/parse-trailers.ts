/** One trailer of a commit message, bytes as git prints them. */
export interface Trailer {
  readonly key: Buffer;
  readonly value: Buffer;
}

const MAX_TRAILERS = 64;
const MAX_KEY_BYTES = 128;
const MAX_VALUE_BYTES = 512;

/**
 * Parses the output of `git show --format=%(trailers:unfold,separator=%x00)`. Gitaly's limits
 * apply: at most 64 trailers, and one that is too long (key above 128 bytes, value above 512) ends
 * the list.
 */
export function parseTrailers(output: Buffer): Trailer[] {
  const trailers: Trailer[] = [];
  for (let at = 0; at < output.length && trailers.length < MAX_TRAILERS; ) {
    const nul = output.indexOf(0, at);
    const end = nul === -1 ? output.length : nul;
    const entry = output.subarray(at, end);
    at = end + 1;
    const colon = entry.indexOf(':');
    const key = trim(entry.subarray(0, Math.max(colon, 0)));
    if (colon === -1 || key.length === 0) continue;
    const value = trim(entry.subarray(colon + 1));
    if (key.length > MAX_KEY_BYTES || value.length > MAX_VALUE_BYTES) break;
    trailers.push({ key, value });
  }
  return trailers;
}

/** Removes the surrounding white space. */
function trim(bytes: Buffer): Buffer {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  return bytes.subarray(start, end);
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);
}
