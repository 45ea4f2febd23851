/*
 * What encoders by hand are made of: fields whose number is below 16, so that their tag is one
 * byte, written into a buffer that was measured before.
 */

/** Returns the size of a length-delimited field. */
export function fieldBytes(length: number): number {
  return 1 + numberBytes(length) + length;
}

/** Returns the size of a number from 0 to 2^31 - 1 as a varint. */
export function numberBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes++;
  return bytes;
}

/**
 * Writes a tag and a number: a field, or the head of a length-delimited one. Returns the next
 * position.
 */
export function writeNumber(out: Buffer, at: number, tag: number, value: number): number {
  out[at] = tag;
  let position = at + 1;
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) out[position++] = (rest & 0x7f) | 0x80;
  out[position++] = rest;
  return position;
}

/** Writes a length-delimited field. Returns the next position. */
export function writeBytes(out: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  const start = writeNumber(out, at, tag, bytes.length);
  out.set(bytes, start);
  return start + bytes.length;
}

/** Writes a string field of ASCII characters. Returns the next position. */
export function writeAscii(out: Buffer, at: number, tag: number, text: string): number {
  const start = writeNumber(out, at, tag, text.length);
  return start + out.write(text, start, 'latin1');
}
