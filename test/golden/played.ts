import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GitVersion, isAtLeast, MINIMUM_GIT, parseGitVersion } from '#git/command/capabilities';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { type Difference, matchesPath } from './compare.ts';
import type { Json } from './recorded-case.ts';

/** Fields of a case that cannot match, with the reason. */
interface Exception {
  /** JSON paths of these fields; every other field is compared. */
  readonly at: readonly string[];
  /** True if only the words of git differ, which the text quotes. The rest of the text is compared. */
  readonly words?: boolean;
  /** The first version of git with which they match, such as `2.45`; without one none does. */
  readonly before?: string;
  /** Further paths that do not match between the oldest version and `before`. */
  readonly later?: readonly string[];
  readonly because: string;
}

/** An exception that applies to this machine's git. */
export interface Disagreement extends Exception {
  /**
   * False for gits between the oldest and the one from which a case matches: they may match or not.
   */
  readonly isCertain: boolean;
}

/**
 * A file of `played/`: the replayed RPCs, and the cases that cannot match, with the reason of each.
 */
interface Played {
  readonly rpcs: readonly string[];
  readonly exceptions: Readonly<Record<string, Exception>>;
  /**
   * Paths, as in a case's `ignore`, of fields that this server sends in addition to Gitaly 19.0's,
   * by RPC.
   */
  readonly ignored?: Readonly<Record<string, readonly string[]>>;
}

const here = import.meta.dirname;

/**
 * Joins all files of `played/`: the replayed RPCs and, by case id, the exceptions for a version of
 * git.
 */
export function readPlayed(
  git: GitVersion,
  referenceBackend: StoredBackend = 'files',
): {
  rpcs: ReadonlySet<string>;
  exceptions: ReadonlyMap<string, Disagreement>;
  ignored: ReadonlyMap<string, readonly string[]>;
} {
  const rpcs = new Set<string>();
  const ignored = new Map<string, readonly string[]>();
  const exceptions = new Map<string, Disagreement>();
  const names = readdirSync(join(here, 'played')).filter((name) => name.endsWith('.json'));
  // Last, so that its exceptions replace others.
  for (const name of [...names, ...(referenceBackend === 'reftable' ? ['../reftable.json'] : [])]) {
    // Fixtures of this repository, see above.
    const played = JSON.parse(readFileSync(join(here, 'played', name), 'utf8')) as Played;
    for (const rpc of played.rpcs) rpcs.add(rpc);
    for (const [id, exception] of Object.entries(played.exceptions)) {
      const disagreement = disagreementWith(git, exception);
      if (disagreement !== undefined) exceptions.set(id, disagreement);
    }
    for (const [rpc, paths] of Object.entries(played.ignored ?? {})) ignored.set(rpc, paths);
  }
  return { rpcs, exceptions, ignored };
}

function disagreementWith(git: GitVersion, exception: Exception): Disagreement | undefined {
  const { before } = exception;
  if (before === undefined) return { ...exception, isCertain: true };
  const version = parseGitVersion(`git version ${before}`);
  if (version === undefined) throw new Error(`${before} is no version of git`);
  if (isAtLeast(git, version)) return undefined;
  const isCertain = git.major === MINIMUM_GIT.major && git.minor === MINIMUM_GIT.minor;
  const at = isCertain ? exception.at : [...exception.at, ...(exception.later ?? [])];
  return { ...exception, at, isCertain };
}

/**
 * Returns what is wrong with the differences of a case: fields that no exception names, and
 * exceptions of fields that agree.
 */
export function unexpected(found: readonly Difference[], exception: Disagreement | undefined): string[] {
  const wrong = found
    .filter((difference) => !isExcepted(difference, exception))
    .map(({ path, expected, actual }) => `${path}: expected ${shorten(expected)}, got ${shorten(actual)}`);
  if (exception?.isCertain !== true) return wrong;
  const idle = exception.at.filter((pattern) => !found.some(({ path }) => matchesPath(pattern, path)));
  return [
    ...wrong,
    ...idle.map((path) => `${path}: agrees with the recording in spite of: ${exception.because}`),
  ];
}

function isExcepted({ path, expected, actual }: Difference, exception: Disagreement | undefined): boolean {
  if (!exception?.at.some((pattern) => matchesPath(pattern, path))) return false;
  return exception.words !== true || withoutGitsWords(expected) === withoutGitsWords(actual);
}

/** Removes from a text what it quotes of git's standard error. */
function withoutGitsWords(value: Json | undefined): string {
  return String(value).replace(/stderr: ".*"/s, 'stderr: ""');
}

function shorten(value: Json | undefined): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 1500 ? `${text.slice(0, 1500)}…` : text;
}
