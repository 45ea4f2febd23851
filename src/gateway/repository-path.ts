import { attempt } from '#base/attempt';
/**
 * A decoded repository path from a git client: segments joined by slashes; the last one ends in
 * `.git`.
 */
export type RepositoryPath = string & { readonly __repositoryPath: 'checked' };

/**
 * Length limit for git and file systems; far below PATH_MAX, so that the storage's own prefix fits.
 */
const MAX_PATH_BYTES = 1024;
const MAX_SEGMENT_BYTES = 200;

/**
 * Parses a repository's path from a URL, percent-encoded and without the leading slash.
 *
 * @returns the path, or the reason of a refusal.
 */
export function parseRepositoryPath(encoded: string): RepositoryPath | { readonly refusal: string } {
  const segments = encoded.split('/').map(decode);
  if (segments.includes(undefined)) return { refusal: 'The path is not valid percent-encoded UTF-8.' };
  return checkRepositoryPath(segments.filter((segment) => segment !== undefined));
}

/**
 * Checks a repository's path, given as decoded segments. Adds a missing `.git`, as hosting sites
 * do. Nothing is normalised: a path that needs it is refused.
 *
 * @returns the path, or the reason of a refusal.
 */
export function checkRepositoryPath(
  segments: readonly string[],
): RepositoryPath | { readonly refusal: string } {
  for (const segment of segments.length === 0 ? [''] : segments) {
    const refusal = refusalOf(segment);
    if (refusal !== undefined) return { refusal: `The path ${refusal}.` };
  }
  if (segments.slice(0, -1).some((segment) => segment.endsWith('.git'))) {
    return { refusal: 'A repository cannot be inside another one.' };
  }

  const joined = segments.join('/');
  const path = joined.endsWith('.git') ? joined : `${joined}.git`;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { refusal: 'The path is too long.' };
  return path as RepositoryPath; // checked above; no other code creates this type
}

function decode(part: string): string | undefined {
  // Only a failure reveals a malformed escape.
  return attempt(() => decodeURIComponent(part));
}

function refusalOf(segment: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\x00-\x1f\x7f/\\]/.test(segment)) return 'has a slash, backslash or control character in a name';
  if (!segment.isWellFormed()) return 'is not valid Unicode'; // as JSON may have it
  if (segment === '' || segment === '.git') return 'has an empty name in it';
  if (segment.startsWith('.')) return 'has a name that starts with a dot';
  // +gitaly is the server's own
  if (segment.startsWith('+')) return 'has a name that starts with a plus sign';
  if (segment.startsWith('-')) return 'has a name that starts with a dash';
  if (segment.endsWith('.lock')) return 'has a name that ends in .lock';
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return 'has a name that is too long';
  return undefined;
}
