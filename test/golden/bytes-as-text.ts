import { isUtf8 } from 'node:buffer';

/** Bytes as text; what is not UTF-8 as `\\xff`, as the recordings have it. */
export function bytesAsText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  return bytes.toString('latin1').replace(/[\x80-\xff]/g, (char) => `\\x${char.charCodeAt(0).toString(16)}`);
}
