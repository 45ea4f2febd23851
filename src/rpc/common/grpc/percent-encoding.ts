/**
 * Text that is sent unchanged: visible ASCII except `%`, and spaces. HTTP/2 peers drop a header
 * with a space at an end.
 */
const PLAIN = /^(?! )[\x20-\x24\x26-\x7e]*(?<! )$/;

const ESCAPES = /^(?:%[0-9a-fA-F]{2})+$/;

/**
 * Encodes a status message for `grpc-message`: UTF-8 bytes outside 0x20-0x7E, `%`, and a space at
 * an end become `%XX`.
 */
export function percentEncode(text: string): string {
  if (PLAIN.test(text)) return text;
  let encoded = '';
  for (const byte of Buffer.from(text, 'utf8')) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded.replace(/^ | $/g, '%20');
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
