/** Bytes of an object: from `start`, `length` of them. */
export interface ByteRange {
  readonly start: number;
  readonly length: number;
}

/**
 * Parses a `Range` header for an object of a size.
 *
 * @returns `undefined` for the whole object: without a header, and for several ranges or another
 *   unit, which a server may ignore; `unsatisfiable` for a range that begins after the end.
 * @see RFC 9110, section 14
 */
export function parseByteRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | 'unsatisfiable' | undefined {
  const [, first = '', last = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '') ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? 'unsatisfiable' : { start: sizeBytes - length, length };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) return undefined;
  return start >= sizeBytes ? 'unsatisfiable' : { start, length: end - start + 1 };
}
