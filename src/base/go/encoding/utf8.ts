import { isUtf8 } from 'node:buffer';

const LONGEST_CHARACTER = 4;

/**
 * Reads bytes as text as Go does: each byte that is not UTF-8 becomes a separate U+FFFD. (Node's
 * decoders make one of a character that breaks off.)
 */
export function textOfUtf8(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString();
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = lengthOfCharacter(bytes, at);
    text += length === undefined ? '\ufffd' : bytes.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return text;
}

function lengthOfCharacter(bytes: Buffer, at: number): number | undefined {
  for (let length = 1; length <= LONGEST_CHARACTER && at + length <= bytes.length; length++)
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  return undefined;
}
