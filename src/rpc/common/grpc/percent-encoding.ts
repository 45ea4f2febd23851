/**
 * Text that is sent unchanged: visible ASCII except `%`, and spaces. HTTP/2 peers drop a header
 * with a space at an end.
 */
const PLAIN = /^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/;

const PERCENT = 0x25;
/** Length of `%XX`. */
const ESCAPE_LENGTH = 3;
const ESCAPES = /^(?:%[0-9a-fA-F]{2})+$/;

/**
 * Encodes a status message for `grpc-message`: UTF-8 bytes outside 0x20-0x7E, `%`, and a space at
 * an end become `%XX`. A mebibyte takes a few milliseconds.
 */
export function percentEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  const encoded = Buffer.allocUnsafe(bytes.length * ESCAPE_LENGTH);
  let length = 0;
  for (const byte of bytes) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== PERCENT) encoded[length++] = byte;
    else {
      encoded[length++] = PERCENT;
      encoded[length++] = hexDigit(byte >> 4);
      encoded[length++] = hexDigit(byte & 0xf);
    }
  }
  return encoded.toString('latin1', 0, length).replace(/^ | $/g, '%20');
}

function hexDigit(value: number): number {
  return value < 10 ? value + 0x30 : value - 10 + 0x41;
}

/**
 * Decodes `grpc-message`. Malformed escapes are kept and invalid UTF-8 becomes U+FFFD, so that a
 * status is never lost.
 */
export function percentDecode(text: string): string {
  if (!text.includes('%')) return text;
  const bytes: Buffer[] = [];
  for (const part of text.split(/((?:%[0-9a-fA-F]{2})+)/)) {
    bytes.push(ESCAPES.test(part) ? Buffer.from(part.replaceAll('%', ''), 'hex') : Buffer.from(part, 'utf8'));
  }
  return Buffer.concat(bytes).toString('utf8');
}
