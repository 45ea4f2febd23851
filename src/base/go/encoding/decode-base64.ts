/**
 * Decodes padded Base64; line feeds and carriage returns may be anywhere in it.
 *
 * @throws {Error} `illegal base64 data at input byte N`. (For text that comes in pieces there is
 *   `Base64Decoder`; Go's decoder of streams has other positions and other texts.)
 */
export function decodeBase64(value: string): Buffer {
  const clean = value.replace(/[\r\n]/g, '');
  const illegal = clean.search(/[^A-Za-z0-9+/]/);
  const digits = illegal === -1 ? clean.length : illegal;
  const wanted = '='.repeat((4 - (digits % 4)) % 4);
  if (clean.slice(digits) !== wanted || digits % 4 === 1) {
    throw new Error(
      `illegal base64 data at input byte ${clean.slice(digits, digits + 1) === '=' ? digits + 1 : digits}`,
    );
  }
  return Buffer.from(clean, 'base64');
}
