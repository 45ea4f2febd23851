import { attempt } from '#base/attempt';
import { trimmed } from '#base/trim';
import { ANONYMOUS, type Grant, nameProblem, RIGHTS, type Right } from '#gateway/rights';
import { parseSecretHash, type SecretHash } from './password-hash.ts';

/** One secret of one name, with all its rights. */
export interface Account {
  readonly name: string;
  readonly hash: SecretHash;
  /** Text in the file, which identifies the secret. */
  readonly hashText: string;
  readonly grants: readonly Grant[];
  /** Name of a token. Default: the first digits of its digest. */
  readonly tokenName?: string;
}

/** Users by their secrets. */
export interface Accounts {
  /** Passwords by name. */
  readonly passwords: ReadonlyMap<string, Account>;
  /** Tokens by their hex digest. */
  readonly tokens: ReadonlyMap<string, Account>;
  /** Rights without credentials. */
  readonly anonymous: readonly Grant[];
}

/**
 * An invalid file. The message names the line and the accepted format, and never repeats the line.
 */
export class AuthFileError extends Error {
  override readonly name = 'AuthFileError';
}

const FORMAT = 'expected NAME read|write|admin HASH [PATH…]; gitaly-ts hash-password NAME prints such a line';

/**
 * Parses lines of `NAME read|write|admin HASH [PATH…]`, separated by blanks. Empty lines and those
 * that begin with `#` are ignored. Lines with the same name and hash are combined. `anonymous read
 * -` needs no hash.
 *
 * @throws {AuthFileError}
 */
export function parseAuthFile(text: string): Accounts {
  const draft = emptyDraft();
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim().split(/\s+/);
    if (words[0] === '' || words[0]?.startsWith('#')) continue;
    const problem = addLine(draft, words);
    if (problem !== undefined) throw new AuthFileError(`line ${index + 1}: ${problem}`);
  }
  return draft;
}

/**
 * Formats a line for the file. `paths` are not encoded. @throws {AuthFileError} when a line cannot
 * hold the values
 */
export function formatAuthLine(name: string, right: Right, hash: string, paths: readonly string[]): string {
  const words = [name, right, hash, ...paths.map(encodeURI)];
  const problem = /\s/.test(name) ? 'a name cannot contain blanks' : addLine(emptyDraft(), words);
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

/** Adds the rights of a line. @returns the error of the line. */
function addLine({ anonymous, passwords, tokens }: Draft, words: readonly string[]): string | undefined {
  const [name = '', rightText, hashText, ...encoded] = words;
  if (hashText === undefined) return FORMAT;
  const wrongName = nameProblem(name);
  if (wrongName !== undefined) return wrongName;
  const right = RIGHTS.find((known) => known === rightText);
  if (right === undefined) return `the second column must be read, write or admin; ${FORMAT}`;
  if (right === 'admin' && (name === ANONYMOUS || encoded.length > 0))
    return 'admin is a right to the whole server: it needs a secret, and no paths';
  const paths = encoded.map(parsePath).filter((path) => path !== undefined);
  if (paths.length < encoded.length) return 'a path is not valid percent-encoded UTF-8';
  const grant: Grant = { right, paths };
  if (name === ANONYMOUS) {
    if (hashText !== '-') return `${ANONYMOUS} has no password; write - instead of a hash`;
    anonymous.push(grant);
    return undefined;
  }

  const hash = parseSecretHash(hashText);
  if (hash === undefined) return `the hash is not of a known kind ($scrypt$… or sha256:…); ${FORMAT}`;
  const [accounts, key] = hash.kind === 'scrypt' ? [passwords, name] : [tokens, hash.digest.toString('hex')];
  const known = accounts.get(key);
  if (known === undefined) accounts.set(key, { name, hash, hashText, grants: [grant] });
  else if (known.name !== name) return 'another name has the same token; create one for each';
  else if (known.hashText !== hashText)
    return 'this name has a second password, which would make each check twice as slow. Use a token instead';
  else known.grants.push(grant);
  return undefined;
}

function parsePath(text: string): string | undefined {
  // Only a failure reveals a malformed escape.
  return attempt(() => trimmed(decodeURIComponent(text), '/'));
}
