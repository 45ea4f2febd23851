import { readFile, stat } from 'node:fs/promises';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey, JWTVerifyOptions } from 'jose';
import { attempt } from '#base/attempt';
import { type FileStamp, stampOf } from '#base/files/file-stamp';
import { ignoreMissing } from '#base/files/ignore-missing';
import { messageOf, prefixed } from '#base/gitaly-error';
import { keyFetcher } from './fetch-keys.ts';
import { AUDIENCE, OWN_ISSUER, SCOPE_CLAIM } from './issue.ts';
import { parseScope, type TokenScope } from './scope.ts';
import { CLOCK_TOLERANCE_SECONDS, type IssuedToken, type TokenStore } from './token-store.ts';

/** The owner of a valid token. */
export interface TokenOwner {
  readonly subject: string;
  /** `jti` of the token; tokens of other issuers may have none. */
  readonly id: string;
  readonly scope: TokenScope;
}

/** Keys of another issuer whose tokens are accepted, too. */
export interface ForeignIssuer {
  /** A file with a JSON Web Key Set, or its `https:` URL (`http:` on loopback). */
  readonly jwks: string;
  /** `iss` of the tokens. */
  readonly issuer: string;
}

export interface TokenVerifierOptions {
  readonly store: TokenStore;
  readonly foreign?: ForeignIssuer;
  /** Called when tokens cannot be checked because of the server or the other issuer. */
  readonly onProblem?: (error: unknown) => void;
}

/** Longer texts are refused before they are decoded. */
const MAX_TOKEN_CHARACTERS = 8192;
const ALGORITHMS = ['EdDSA', 'ES256'];
const FETCH_LIMIT_MS = 5_000;
const KEYS_MAX_AGE_MS = 10 * 60 * 1000;
/** An unknown key is searched for again no sooner. */
const KEYS_COOL_DOWN_MS = 30_000;
/** A problem is reported again no sooner. */
const REPORT_AGAIN_MS = 30_000;
const MAX_SUBJECT_CHARACTERS = 128;
const CONTROL = /\p{Cc}/u;
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Reports whether a text has the form of a token of ours. */
export function isTokenText(text: string): boolean {
  return text.length <= MAX_TOKEN_CHARACTERS && JWT.test(text);
}

/** Checks tokens. */
export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  #foreignKeys: Promise<JWTVerifyGetKey> | undefined;
  #reportedAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /**
   * Loads what is needed to check tokens.
   *
   * @throws {Error} if the directory or the file with keys cannot be used, or the URL is not
   *   allowed.
   */
  async prepare(): Promise<void> {
    await this.#options.store.prepare();
    if (this.#options.foreign !== undefined) await this.#keysOfForeign(this.#options.foreign);
  }

  /** Returns the tokens of a subject that were issued here and are accepted. */
  async issuedTo(subject: string): Promise<IssuedToken[]> {
    const all = await this.#options.store.list();
    return all.filter((token) => token.subject === subject && !token.isRevoked && !token.isExpired);
  }

  /** Revokes a token that was issued here to a subject, and is accepted. @returns false if there is none. */
  async revokeIssued(subject: string, id: string): Promise<boolean> {
    const tokens = await this.issuedTo(subject);
    if (!tokens.some((token) => token.id === id)) return false;
    await this.#options.store.revoke(id);
    return true;
  }

  /** Returns the owner of a token; `undefined` for one that is not valid, for whatever reason. */
  async verify(token: string): Promise<TokenOwner | undefined> {
    const owner = await this.check(token);
    return owner === 'expired' ? undefined : owner;
  }

  /**
   * Returns the owner of a token; `expired` for one that was valid until its end, which its holder
   * may know; `undefined` for any other.
   */
  async check(token: string): Promise<TokenOwner | 'expired' | undefined> {
    if (!isTokenText(token)) return undefined;
    const { decodeJwt, errors, jwtVerify } = await import('jose');
    const { foreign, store } = this.#options;
    let isForeign = false;
    try {
      isForeign = foreign !== undefined && decodeJwt(token).iss === foreign.issuer;
      const options = verifyOptions(isForeign && foreign ? foreign.issuer : OWN_ISSUER);
      const { payload } = await jwtVerify(
        token,
        isForeign && foreign ? await this.#keysOfForeign(foreign) : (header) => ownKey(store, header.kid),
        isForeign ? options : { ...options, requiredClaims: ['exp', 'sub', 'jti'] },
      );
      if (payload.jti !== undefined && (await store.isRevoked(payload.jti))) return undefined;
      return ownerOf(payload);
    } catch (error) {
      // Signature, issuer and audience are checked before.
      if (error instanceof errors.JWTExpired)
        return (await this.#wasValid(error.payload)) ? 'expired' : undefined;
      // Everything that is wrong with a token is one of these, except for a service that is down:
      // a response that is no set of keys has the general class.
      const isOfKeys = error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid;
      const isOfToken =
        error instanceof errors.JOSEError && !isOfKeys && error.code !== errors.JOSEError.code;
      if (!isOfToken) this.#report(error, isForeign ? foreign?.jwks : undefined);
      return undefined;
    }
  }

  async #wasValid(payload: JWTPayload): Promise<boolean> {
    const isRevoked = payload.jti !== undefined && (await this.#options.store.isRevoked(payload.jti));
    return !isRevoked && ownerOf(payload) !== undefined;
  }

  /** Reports a problem, but not for each token that arrives meanwhile. */
  #report(error: unknown, place: string | undefined): void {
    const nowMs = performance.now();
    if (nowMs - this.#reportedAtMs < REPORT_AGAIN_MS) return;
    this.#reportedAtMs = nowMs;
    const message = place === undefined ? messageOf(error) : `${place}: ${messageOf(error)}`;
    this.#options.onProblem?.(new Error(message, { cause: error }));
  }

  async #keysOfForeign({ jwks }: ForeignIssuer): Promise<JWTVerifyGetKey> {
    this.#foreignKeys ??= foreignKeys(jwks);
    try {
      return await this.#foreignKeys;
    } catch (error) {
      this.#foreignKeys = undefined;
      throw error;
    }
  }
}

function verifyOptions(issuer: string): JWTVerifyOptions {
  return {
    algorithms: ALGORITHMS,
    issuer,
    audience: AUDIENCE,
    clockTolerance: CLOCK_TOLERANCE_SECONDS,
    requiredClaims: ['exp', 'sub'],
  };
}

async function ownKey(store: TokenStore, id: string | undefined) {
  const { errors } = await import('jose');
  const key = id === undefined ? undefined : await store.publicKey(id);
  if (key === undefined) throw new errors.JWKSNoMatchingKey();
  return key;
}

async function foreignKeys(place: string): Promise<JWTVerifyGetKey> {
  const { createRemoteJWKSet, customFetch } = await import('jose');
  const url = /^https?:/.test(place) ? URL.parse(place) : undefined;
  if (url === undefined) return await keysOfFile(place);
  if (url === null || (url.protocol !== 'https:' && !LOOPBACK.test(url.hostname)))
    throw new Error(`${place}: keys are read by https only`);
  return createRemoteJWKSet(url, {
    timeoutDuration: FETCH_LIMIT_MS,
    cooldownDuration: KEYS_COOL_DOWN_MS,
    cacheMaxAge: KEYS_MAX_AGE_MS,
    [customFetch]: keyFetcher(),
  });
}

/** Returns the keys of a file, which is read again when it has changed and is complete. */
async function keysOfFile(path: string): Promise<JWTVerifyGetKey> {
  const { createLocalJWKSet } = await import('jose');
  const read = async (): Promise<{ readonly stamp: FileStamp; readonly find: JWTVerifyGetKey }> => {
    const stamp = stampOf(await stat(path));
    const keys = JSON.parse(await readFile(path, 'utf8')) as JSONWebKeySet; // createLocalJWKSet checks it
    return { stamp, find: createLocalJWKSet(keys) };
  };
  let known = await read().catch(prefixed(path));
  return async (header, token) => {
    const stats = await stat(path).catch(ignoreMissing);
    const isChanged = stats !== undefined && stampOf(stats) !== known.stamp;
    if (isChanged) known = await read().catch(() => known); // it is being written
    return await known.find(header, token);
  };
}

function ownerOf(payload: JWTPayload): TokenOwner | undefined {
  const { jti: id = '', sub: subject = '' } = payload;
  // It becomes a name in logs, and in the environment of hooks.
  if (subject === '' || CONTROL.test(subject) || subject.length > MAX_SUBJECT_CHARACTERS) return undefined;
  if (CONTROL.test(id) || id.length > MAX_SUBJECT_CHARACTERS) return undefined;
  // On failure: signed, but nothing that can be meant: it allows nothing
  return attempt(() => ({ subject, id, scope: parseScope(payload[SCOPE_CLAIM]) }));
}
