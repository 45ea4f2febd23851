import { quote } from '#base/quote';

const LENGTHS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64 };

/** @throws {Error} `unknown object format: "x"` */
export function requireObjectFormat(format: string): 'sha1' | 'sha256' {
  if (format === 'sha1' || format === 'sha256') return format;
  throw new Error(`looking up object hash: unknown object format: ${quote(format)}`);
}

/** What is wrong with a text as an object id, in Gitaly's words; `undefined` for nothing. */
export function whatIsWrongWithOid(text: string, format: 'sha1' | 'sha256'): string | undefined {
  const [expected, got] = [LENGTHS[format], Buffer.byteLength(text)];
  if (got !== expected) return `invalid object ID: ${quote(text)}, expected length ${expected}, got ${got}`;
  const bad = /[^0-9a-f]/u.exec(text)?.[0];
  return bad === undefined ? undefined : `invalid object ID: ${quote(text)}, invalid character '${quote(bad).slice(1, -1)}'`;
}
