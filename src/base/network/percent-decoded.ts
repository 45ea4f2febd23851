const PERCENT = 0x25;
const PLUS = 0x2b;
const SPACE = 0x20;
const ESCAPE = /^[0-9a-f]{2}$/i;

/**
 * Returns the bytes of a part of an address, which need not be UTF-8; `undefined` if an escape is
 * malformed.
 *
 * @param isQuery true for a part of a query, in which a plus is a blank.
 */
export function percentDecoded(text: string, isQuery = false): Buffer | undefined {
  const bytes = Buffer.from(text);
  let length = 0;
  for (let index = 0; index < bytes.length; index++, length++) {
    const byte = bytes[index] ?? 0;
    if (byte !== PERCENT) {
      bytes[length] = isQuery && byte === PLUS ? SPACE : byte;
      continue;
    }
    const digits = bytes.subarray(index + 1, index + 3).toString('latin1');
    if (!ESCAPE.test(digits)) return undefined;
    bytes[length] = Number.parseInt(digits, 16);
    index += 2;
  }
  return bytes.subarray(0, length);
}
