/**
 * Characters of keys that a service does not keep, as Go Cloud escapes them: `__0x2f__`. Backups of
 * Gitaly have these names.
 *
 * @see Go Cloud: internal/escape, escapeKey of blob/gcsblob, azureblob and s3blob
 */
const ESCAPED = {
  gs: /(?<=\.\.)\//g,
  azblob: /["#%?\\\x7f]|(?<=\.\.)\//g,
} as const;

/** Escapes a key for a service. */
export function escapeKey(key: string, kind: keyof typeof ESCAPED): string {
  return key.replace(ESCAPED[kind], (found) => `__0x${found.charCodeAt(0).toString(16)}__`);
}

/** Reverses {@link escapeKey}. */
export function unescapeKey(name: string): string {
  return name.replace(/__0x([0-9a-f]{1,6})__/g, (found, digits: string) => {
    const point = Number.parseInt(digits, 16);
    return point <= 0x10ffff ? String.fromCodePoint(point) : found;
  });
}
