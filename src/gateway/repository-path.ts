/** The path of a repository as git's clients name it, decoded: segments joined by slashes, the last one ends in `.git`. */
export type RepositoryPath = string & { readonly __repositoryPath: 'checked' };

/** What git and file systems carry; far below PATH_MAX so that the storage's own prefix fits. */
const MAX_PATH_BYTES = 1024;
const MAX_SEGMENT_BYTES = 200;

/**
 * Checks a repository's path as it stands in a URL, percent-encoded and without the slash in front.
 *
 * @returns the path, or why it is refused.
 */
export function parseRepositoryPath(encoded: string): RepositoryPath | { readonly refusal: string } {
  const segments = encoded.split('/').map(decode);
  if (segments.includes(undefined)) return { refusal: 'The path is not valid percent-encoded UTF-8.' };
  return checkRepositoryPath(segments.filter((segment) => segment !== undefined));
}

/**
 * Checks a repository's path by its segments, decoded. `.git` is added where it is missing, as hosting sites do. Nothing is
 * normalised: a path that would need it is refused.
 *
 * @returns the path, or why it is refused.
 */
export function checkRepositoryPath(segments: readonly string[]): RepositoryPath | { readonly refusal: string } {
  for (const segment of segments) {
    const refusal = refusalOf(segment);
    if (refusal !== undefined) return { refusal: `The path ${refusal}.` };
  }
  if (segments.slice(0, -1).some((segment) => segment.endsWith('.git'))) {
    return { refusal: 'A repository cannot be inside of another one.' };
  }

  const joined = segments.join('/');
  const path = joined.endsWith('.git') ? joined : `${joined}.git`;
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return { refusal: 'The path is too long.' };
  return path as RepositoryPath; // checked above; the only place that makes one
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined; // the one way to find out that an escape is malformed
  }
}

function refusalOf(segment: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\x00-\x1f\x7f/\\]/.test(segment)) return 'has a slash, backslash or control character inside of a name';
  if (segment === '' || segment === '.git') return 'has an empty name in it';
  if (segment.startsWith('.')) return 'has a name that starts with a dot';
  if (segment.startsWith('+')) return 'has a name that starts with a plus sign'; // +gitaly is the server's own
  if (segment.startsWith('-')) return 'has a name that starts with a dash';
  if (segment.endsWith('.lock')) return 'has a name that ends in .lock';
  if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) return 'has a name that is too long';
  return undefined;
}
