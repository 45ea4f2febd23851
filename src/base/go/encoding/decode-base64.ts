const NOT_A_DIGIT = /[^A-Za-z0-9+/]/;
const GROUP = 4;

/**
 * Decodes padded Base64; line feeds and carriage returns may be anywhere in it.
 *
 * @throws {Error} `illegal base64 data at input byte N`. (For text that comes in pieces there is
 *   `Base64Decoder`; Go's decoder of streams has other positions and other texts.)
 */
export function decodeBase64(value: string): Buffer {
  const clean = value.replace(/[\r\n]/g, '');
  const at = illegalAt(clean);
  if (at !== undefined) throw new Error(`illegal base64 data at input byte ${at}`);
  return Buffer.from(clean, 'base64');
}

/** Returns the position at which Go reports an error; `undefined` if the text is valid. */
export function illegalAt(text: string): number | undefined {
  const found = text.search(NOT_A_DIGIT);
  const at = found === -1 ? text.length : found;
  const rest = at % GROUP;
  if (found === -1) return rest === 0 ? undefined : at - rest;
  if (text[at] !== '=' || rest < 2) return at;
  if (rest === 2 && text[at + 1] !== '=') return at + 1 === text.length ? text.length : at;
  const end = at - rest + GROUP;
  return end === text.length ? undefined : end;
}
