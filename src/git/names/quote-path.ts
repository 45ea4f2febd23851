const ESCAPES: Readonly<Record<number, string>> = {
  7: String.raw`\a`,
  8: String.raw`\b`,
  9: String.raw`\t`,
  10: String.raw`\n`,
  11: String.raw`\v`,
  12: String.raw`\f`,
  13: String.raw`\r`,
  34: String.raw`\"`,
  92: String.raw`\\`,
};

/**
 * Returns a path as git prints it (with the default `core.quotePath`): in double quotes with C
 * escapes if it contains special bytes.
 */
export function quotePath(path: Buffer): Buffer {
  if (path.every((byte) => isPrintable(byte) && ESCAPES[byte] === undefined)) return path;
  const parts = Array.from(
    path,
    (byte) => ESCAPES[byte] ?? (isPrintable(byte) ? String.fromCharCode(byte) : octal(byte)),
  );
  return Buffer.from(`"${parts.join('')}"`, 'latin1');
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}

function octal(byte: number): string {
  return `\\${byte.toString(8).padStart(3, '0')}`;
}
