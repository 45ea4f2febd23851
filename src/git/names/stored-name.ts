const SPACE = 0x20;
const SLASH = 0x2f;
const DOT = 0x2e;
const AT = 0x40;
const BRACE = 0x7b;
const LAST_OF_LOCK = 0x6b;
const LOCK = '.lock';
const NAMESPACE = [...Buffer.from('refs/')];
/** Bytes that no reference name contains. */
const NOT_IN_NAMES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte <= SPACE || byte === 0x7f || ':?*[\\~^'.includes(String.fromCharCode(byte)) ? 1 : 0,
);

/**
 * Reports whether a part of a file of references is a name below `refs/` that git accepts. It is
 * one pass over the bytes, because lists contain many names.
 */
export function isStoredName(block: Buffer, start: number, end: number): boolean {
  let at = start;
  for (const byte of NAMESPACE) if (block[at++] !== byte) return false;
  let previous = SLASH;
  for (; at < end; at++) {
    const byte = block[at] ?? 0;
    if (NOT_IN_NAMES[byte] === 1) return false;
    if (byte === SLASH) {
      if (!isEndOfComponent(block, at, previous)) return false;
    } else if (
      (byte === DOT && (previous === DOT || previous === SLASH)) ||
      (byte === BRACE && previous === AT)
    )
      return false;
    previous = byte;
  }
  return at === end && previous !== DOT && isEndOfComponent(block, at, previous);
}

function isEndOfComponent(block: Buffer, end: number, last: number): boolean {
  if (last === SLASH) return false;
  return last !== LAST_OF_LOCK || block.toString('latin1', end - LOCK.length, end) !== LOCK;
}
