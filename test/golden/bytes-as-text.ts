import { isUtf8 } from 'node:buffer';

/** Converts bytes to text; bytes that are not UTF-8 become `\\xff`, as in the recordings. */
export function bytesAsText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return bytes.toString('latin1').replace(/[\x80-\xff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
}
