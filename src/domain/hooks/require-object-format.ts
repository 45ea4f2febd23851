import { quote } from '#base/go/quote';

/**
 * Checks the object format that a hooks payload names.
 *
 * @throws {Error} `looking up object hash: unknown object format: "x"`
 */
export function requireObjectFormat(format: string): 'sha1' | 'sha256' {
  if (format === 'sha1' || format === 'sha256') return format;
  throw new Error(`looking up object hash: unknown object format: ${quote(format)}`);
}
