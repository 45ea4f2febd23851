import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GitVersion, isAtLeast, MINIMUM_GIT, parseGitVersion } from '#git/capabilities';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** One recorded call; see README.md for the keys. */
export interface RecordedCase {
  readonly id: string;
  /** `Service/Method`; with `raw` the service carries its package. */
  readonly rpc: string;
  readonly note?: string;
  readonly repo?: string;
  readonly others?: readonly string[];
  readonly given?: {
    readonly setup?: string;
    readonly custom_hooks?: Readonly<Record<string, string>>;
    readonly repo_hooks?: Readonly<Record<string, string>>;
    readonly api?: Readonly<Record<string, Json>>;
    readonly config?: string;
  };
  readonly metadata?: Readonly<Record<string, string>>;
  readonly requests: readonly Json[];
  readonly responses: readonly Json[];
  readonly status: { readonly code: string; readonly message: string; readonly details?: readonly Json[] };
  readonly after?: readonly { readonly run: string; readonly stdout: string }[];
  readonly api_calls?: readonly Json[];
  readonly derived?: JsonObject & { readonly as: string };
  readonly ignore?: readonly string[];
  readonly unordered?: boolean;
  readonly joined?: boolean;
  readonly raw?: boolean;
}

/** Why a case cannot agree: with any git (text), or with one older than a version such as `2.45`. */
type Exception = string | { readonly before: string; readonly because: string };

/** An exception that there is with the git of this machine. */
interface Disagreement {
  readonly because: string;
  /** Gits between the oldest and the one since which a case agrees may agree or not. */
  readonly isCertain: boolean;
}

/** A file of `played/`: what is played, and which cases cannot agree, with the reason of each. */
interface Played {
  readonly rpcs: readonly string[];
  readonly exceptions: Readonly<Record<string, Exception>>;
  /** Paths, as in a case's `ignore`, of fields that this server sends beside those of Gitaly 19.0, by RPC. */
  readonly ignored?: Readonly<Record<string, readonly string[]>>;
}

const here = import.meta.dirname;

export function readCases(area: string): RecordedCase[] {
  const lines = readFileSync(join(here, 'cases', `${area}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean);
  // The recordings are fixtures of this repository; their shape is the interface above.
  return lines.map((line) => JSON.parse(line, keepLargeIntegers) as RecordedCase).map(withJoined);
}

/** Some notes say what the key was forgotten for. */
function withJoined(recorded: RecordedCase): RecordedCase {
  return recorded.note?.includes('compare the joined data') ? { ...recorded, joined: true } : recorded;
}

/** 64-bit numbers beyond 2^53 stay text, which the wire's JSON takes as well. */
function keepLargeIntegers(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) ? context?.source : value;
}

/** All files of `played/` joined: the RPCs that are played and, by case id, the exceptions that there are with a version of git. */
export function readPlayed(git: GitVersion): {
  rpcs: ReadonlySet<string>;
  exceptions: ReadonlyMap<string, Disagreement>;
  ignored: ReadonlyMap<string, readonly string[]>;
} {
  const rpcs = new Set<string>();
  const ignored = new Map<string, readonly string[]>();
  const exceptions = new Map<string, Disagreement>();
  for (const name of readdirSync(join(here, 'played')).filter((name) => name.endsWith('.json'))) {
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
  if (typeof exception === 'string') return { because: exception, isCertain: true };
  const { before, because } = exception;
  const version = parseGitVersion(`git version ${before}`);
  if (version === undefined) throw new Error(`${before} is no version of git`);
  if (isAtLeast(git, version)) return undefined;
  return { because, isCertain: git.major === MINIMUM_GIT.major && git.minor === MINIMUM_GIT.minor };
}
