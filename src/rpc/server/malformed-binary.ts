/** A header `-bin` whose value is not Base64. */
export interface MalformedBinary {
  readonly name: string;
  readonly value: string;
  /** Offset of the first byte that does not belong there, as Go counts it. */
  readonly at: number;
}

const LOWER_N = 0x6e;
const PADDING = '=';
const NOT_A_DIGIT = /[^A-Za-z0-9+/]/;

/**
 * Returns the first of the headers `-bin` that is not Base64. Padding is optional. Unlike grpc-go,
 * several values may be joined by commas, as the specification of gRPC demands.
 *
 * @param rawHeaders names and values in turn; names are in lower case.
 */
export function malformedBinary(rawHeaders: readonly string[]): MalformedBinary | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    if (name.charCodeAt(name.length - 1) !== LOWER_N || !name.endsWith('-bin')) continue;
    const value = rawHeaders[index + 1] ?? '';
    const at = illegalByte(value);
    if (at !== undefined) return { name, value, at };
  }
  return undefined;
}

function illegalByte(value: string): number | undefined {
  let start = 0;
  for (const part of value.split(',')) {
    const at = illegalByteOf(part);
    if (at !== undefined) return start + at;
    start += part.length + 1;
  }
  return undefined;
}

/** Go decodes a value whose length is a multiple of four with padding, any other one without. */
function illegalByteOf(part: string): number | undefined {
  const illegal = part.search(NOT_A_DIGIT);
  const digits = illegal === -1 ? part.length : illegal;
  const rest = digits % 4;
  if (part.length % 4 === 0) {
    if (illegal === -1) return undefined;
    if (part[digits] !== PADDING || rest < 2) return digits;
    const end = digits + 4 - rest;
    if (part.slice(digits, end) !== PADDING.repeat(4 - rest)) return digits;
    return end === part.length ? undefined : end;
  }
  if (illegal !== -1) return illegal;
  return rest === 1 ? digits - 1 : undefined;
}
