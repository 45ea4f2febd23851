import { createHash } from 'node:crypto';

/**
 * Returns the key of cached content: SHA-256 over everything that the content depends on. Every
 * part is preceded by its length (8 hex digits), so that different lists of parts never have the
 * same input.
 */
export function cacheKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part);
    hash.update(bytes.length.toString(16).padStart(8, '0')).update(bytes);
  }
  return hash.digest('hex');
}
