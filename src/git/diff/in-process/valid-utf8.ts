/**
 * Returns the number of bytes before the first that is not UTF-8, by git's rules: it cuts the names
 * of functions there. U+FFFE and U+FFFF are not valid.
 */
export function validUtf8Bytes(bytes: Buffer): number {
  let at = 0;
  while (at < bytes.length) {
    const length = lengthOfCharacter(bytes, at);
    if (length === 0) break;
    at += length;
  }
  return at;
}

/** Returns 0 for an invalid character. */
function lengthOfCharacter(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return 0;
  for (let index = 1; index < length; index++) if (((bytes[at + index] ?? 0) & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1] ?? 0;
  const isOverlong = (first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90);
  const isSurrogate = first === 0xed && second >= 0xa0;
  const isTooHigh = first === 0xf4 && second > 0x8f;
  const isNoCharacter = first === 0xef && second === 0xbf && ((bytes[at + 2] ?? 0) & 0xfe) === 0xbe;
  return isOverlong || isSurrogate || isTooHigh || isNoCharacter ? 0 : length;
}
