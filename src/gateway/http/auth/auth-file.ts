import { parseSecretHash, type SecretHash } from './password-hash.ts';

/** What a line of the file allows. */
export interface Grant {
  readonly right: 'read' | 'write';
  /** Decoded, without slashes at the ends; empty for everything. */
  readonly paths: readonly string[];
}

/** One secret of one name, with everything that it opens. */
export interface Account {
  readonly name: string;
  readonly hash: SecretHash;
  /** As in the file: what distinguishes it from other secrets. */
  readonly hashText: string;
  readonly grants: readonly Grant[];
}

export interface AuthFile {
  /** The password of each name that has one. */
  readonly passwords: ReadonlyMap<string, Account>;
  /** By the hex digest of the token. */
  readonly tokens: ReadonlyMap<string, Account>;
  /** What those may do who do not say who they are. */
  readonly anonymous: readonly Grant[];
}

/** A file that cannot be used; the message names the line and says what is accepted, and never repeats the line. */
export class AuthFileError extends Error {
  override readonly name = 'AuthFileError';
}

const ANONYMOUS = 'anonymous';
const NAME = /^[^\s:#\p{Cc}]{1,128}$/u;
const FORMAT = 'want NAME read|write HASH [PATH…]; gitaly-ts hash-password NAME makes such a line';

/**
 * Reads lines of `NAME read|write HASH [PATH…]`, separated by blanks. Empty lines and those that begin with `#` do not matter. Lines
 * with the same name and hash add up. `anonymous read -` needs no hash.
 *
 * @throws {AuthFileError}
 */
export function parseAuthFile(text: string): AuthFile {
  const draft = emptyDraft();
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const problem = addLine(draft, words);
    if (problem !== undefined) throw new AuthFileError(`line ${index + 1}: ${problem}`);
  }
  return draft;
}

/** A line for the file. `paths` are not encoded. @throws {AuthFileError} when no line can say that */
export function formatAuthLine(name: string, right: Grant['right'], hash: string, paths: readonly string[]): string {
  const words = [name, right, hash, ...paths.map(encodeURI)];
  const problem = /\s/.test(name) ? 'a name has no blanks' : addLine(emptyDraft(), words);
  if (problem !== undefined) throw new AuthFileError(problem);
  return words.join(' ');
}

interface DraftAccount extends Account {
  readonly grants: Grant[];
}

interface Draft {
  readonly passwords: Map<string, DraftAccount>;
  readonly tokens: Map<string, DraftAccount>;
  readonly anonymous: Grant[];
}

function emptyDraft(): Draft {
  return { passwords: new Map(), tokens: new Map(), anonymous: [] };
}

/** @returns what is wrong with the line. */
function addLine({ anonymous, passwords, tokens }: Draft, words: readonly string[]): string | undefined {
  const [name = '', right, hashText, ...encoded] = words;
  if (hashText === undefined) return FORMAT;
  if (!NAME.test(name)) return 'a name has up to 128 characters, and no blank, colon or # among them';
  if (right !== 'read' && right !== 'write') return `the second word is the right, read or write; ${FORMAT}`;
  const paths = encoded.map(parsePath).filter((path) => path !== undefined);
  if (paths.length < encoded.length) return 'a path is not valid percent-encoded UTF-8';
  const grant: Grant = { right, paths };
  if (name === ANONYMOUS) {
    if (hashText !== '-') return `${ANONYMOUS} has no password; write - in place of the hash`;
    anonymous.push(grant);
    return undefined;
  }

  const hash = parseSecretHash(hashText);
  if (hash === undefined) return `the hash is neither $scrypt$… nor sha256:…; ${FORMAT}`;
  const [accounts, key] = hash.kind === 'scrypt' ? [passwords, name] : [tokens, hash.digest.toString('hex')];
  const known = accounts.get(key);
  if (known === undefined) accounts.set(key, { name, hash, hashText, grants: [grant] });
  else if (known.name !== name) return "this token is another name's too; make one for each";
  else if (known.hashText !== hashText) return 'this name has two passwords; one guess would cost two hashes. Make it a token';
  else known.grants.push(grant);
  return undefined;
}

function parsePath(text: string): string | undefined {
  try {
    return decodeURIComponent(text).replace(/^\/+|\/+$/g, '');
  } catch {
    return undefined; // the one way to find out that an escape is malformed
  }
}

/** What grants allow at a repository's path (which ends in `.git`). A path covers itself, with or without `.git`, and all below it. */
export function rightAt(grants: readonly Grant[], repository: string): 'read' | 'write' | undefined {
  const fitting = grants.filter(({ paths }) => paths.length === 0 || paths.some((path) => covers(path, repository)));
  if (fitting.some(({ right }) => right === 'write')) return 'write';
  return fitting.length > 0 ? 'read' : undefined;
}

function covers(path: string, repository: string): boolean {
  if (path === '' || repository.startsWith(`${path}/`)) return true;
  return repository === (path.endsWith('.git') ? path : `${path}.git`);
}
