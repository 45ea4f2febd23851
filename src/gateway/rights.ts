/** Rights, each with those before it. `admin` adds the calls of all users in the console. */
export const RIGHTS = ['read', 'write', 'admin'] as const;
export type Right = (typeof RIGHTS)[number];

/** A right to some repositories. */
export interface Grant {
  readonly right: Right;
  /** Decoded paths without leading and trailing slashes; empty for everything. */
  readonly paths: readonly string[];
}

export function describeGrant({ paths, right }: Grant): string {
  return `${right} ${paths.length === 0 ? 'everything' : paths.join(', ')}`;
}

/** Name of the holder of the rights that everybody has. */
export const ANONYMOUS = 'anonymous';

const NAME = /^[^\s:#\p{Cc}]{1,128}$/u;

/** Returns the problem of a user's name; `undefined` if it is valid. */
export function nameProblem(name: string): string | undefined {
  return NAME.test(name) ? undefined : 'a name has at most 128 characters, without blanks, colons and #';
}

/**
 * Returns the right that the grants give at a repository's path (which ends in `.git`). A path
 * covers itself, with or without `.git`, and everything below it.
 */
export function rightAt(grants: readonly Grant[], repository: string): Right | undefined {
  const fitting = grants.filter(({ paths }) => coversOne(paths, repository));
  return RIGHTS.findLast((right) => fitting.some((grant) => grant.right === right));
}

/** Reports whether one of the paths covers a repository. Without paths, everything is covered. */
export function coversOne(paths: readonly string[], repository: string): boolean {
  return paths.length === 0 || paths.some((path) => covers(path, repository));
}

function covers(path: string, repository: string): boolean {
  if (path === '' || repository.startsWith(`${path}/`)) return true;
  return repository === (path.endsWith('.git') ? path : `${path}.git`);
}
