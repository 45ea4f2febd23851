import { hash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { CryptoKey, JWK } from 'jose';
import { attempt } from '#base/attempt';
import { ignoreMissing } from '#base/files/ignore-missing';
import { replaceFile } from '#base/files/replace-file';
import { messageOf } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';
import { BoundedMap } from '#base/memory/bounded-map';
import { formatScope, parseScope, type TokenScope } from './scope.ts';

/** Algorithm of our own keys. */
const ALGORITHM = 'EdDSA';
const DIRECTORY_MODE = 0o700;
const ID_BYTES = 16;
/** Ids become names of files, so nothing else does. */
const ID = /^[\w-]{1,128}$/;
/** Ids of other issuers, such as `urn:uuid:…`; the files of their revocations have other names. */
const FOREIGN_ID = /^[\w.:+=~@-]{1,128}$/;
const MAX_KEYS = 32;

/** A token that was issued; never the token itself. */
export interface IssuedToken {
  readonly id: string;
  /** Empty if its file cannot be read. */
  readonly subject: string;
  /** `undefined` for one that this version cannot read, such as that of a newer version. */
  readonly scope: TokenScope | undefined;
  /** Seconds since 1970. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly isRevoked: boolean;
  readonly isExpired: boolean;
}

/** A token is accepted this long after its end: the clocks of issuers differ. */
export const CLOCK_TOLERANCE_SECONDS = 5;

/** Expired tokens are listed this long. */
const KEPT_SECONDS = 30 * 24 * 60 * 60;

/** A key for signing. */
export interface TokenKey {
  readonly id: string;
  readonly createdAt: number;
  readonly key: CryptoKey;
}

/**
 * The directory with the keys, the list of tokens and the revoked ones. Each is a file of its own,
 * made at once, so any number of processes may use the directory, and a change has an effect with
 * the next request.
 */
export class TokenStore {
  readonly directory: string;
  readonly #public = new BoundedMap<string, CryptoKey>({ maxEntries: MAX_KEYS });

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Creates the directory, and the first key if there is none. */
  async prepare(): Promise<void> {
    for (const name of ['keys', 'issued', 'revoked'])
      await mkdir(join(this.directory, name), { recursive: true, mode: DIRECTORY_MODE });
    if ((await this.keyIds()).length === 0) await this.addKey();
  }

  /** Makes a new key, with which tokens are signed from now on. @returns its id. */
  async addKey(): Promise<string> {
    const { exportJWK, generateKeyPair } = await import('jose');
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const id = newId();
    const key = { ...(await exportJWK(privateKey)), kid: id, alg: ALGORITHM };
    await this.#write('keys', id, { createdAt: Date.now(), key });
    return id;
  }

  /** Removes a key: tokens that it signed are refused. @returns false if there is none. */
  async removeKey(id: string): Promise<boolean> {
    if (!(await this.keyIds()).includes(id)) return false;
    await rm(join(this.directory, 'keys', id), { recursive: true });
    return true;
  }

  /** Returns the ids of the keys, the newest last; those that cannot be read are first. */
  async keyIds(): Promise<string[]> {
    const made = await Promise.all(
      (await this.#names('keys')).map(async (id) => ({
        id,
        at: (await this.#readable('keys', id)).number('createdAt') ?? 0,
      })),
    );
    return made.sort((a, b) => a.at - b.at).map(({ id }) => id);
  }

  /** Returns the newest key. @throws {Error} if there is none, or it cannot be used. */
  async signingKey(): Promise<TokenKey> {
    const { importJWK } = await import('jose');
    const id = (await this.keyIds()).at(-1);
    if (id === undefined) throw new Error(`${this.directory} has no key`);
    const fields = await this.#readable('keys', id);
    // As addKey has written it; another version may write others.
    const key = await importJWK(Object(fields.value('key')) as JWK, ALGORITHM).catch((error: unknown) => {
      const advice = 'remove the file, or use the version that wrote it';
      throw new Error(`${this.directory}/keys/${id} cannot be used to sign: ${messageOf(error)}: ${advice}`);
    });
    if (key instanceof Uint8Array) throw new Error(`${this.directory}/keys/${id} is no key pair`);
    return { id, createdAt: fields.number('createdAt') ?? 0, key };
  }

  /** Returns a public key; `undefined` for one that does not exist, or has been removed. */
  async publicKey(id: string): Promise<CryptoKey | undefined> {
    if (!ID.test(id) || (await stat(join(this.directory, 'keys', id)).catch(ignoreMissing)) === undefined)
      return undefined;
    const known = this.#public.get(id);
    if (known !== undefined) return known;
    const { importJWK } = await import('jose');
    const { d: _private, ...pair } = Object((await this.#read('keys', id))?.value('key'));
    const key = await importJWK(pair as JWK, ALGORITHM);
    if (key instanceof Uint8Array) return undefined;
    this.#public.set(id, key);
    return key;
  }

  /** Notes a token. Entries of tokens that expired 30 days ago are removed. @returns its id. */
  async note(
    token: Omit<IssuedToken, 'id' | 'isRevoked' | 'isExpired'> & { readonly scope: TokenScope },
  ): Promise<string> {
    await this.#removeExpired();
    const id = newId();
    await this.#write('issued', id, { ...token, scope: formatScope(token.scope) });
    return id;
  }

  /**
   * Returns the tokens, also those that expired in the last 30 days, the oldest first. A file that
   * cannot be read is listed as well, so that its token can be revoked.
   */
  async list(): Promise<IssuedToken[]> {
    const revoked = new Set(await this.#names('revoked'));
    const found: IssuedToken[] = [];
    for (const id of await this.#names('issued')) {
      const fields = await this.#readable('issued', id);
      const [issuedAt, expiresAt] = [fields.number('issuedAt') ?? 0, fields.number('expiresAt') ?? 0];
      const secondsOver = expiresAt > 0 ? Date.now() / 1000 - expiresAt : 0;
      if (secondsOver > KEPT_SECONDS) continue;
      const scope = scopeOrNone(fields);
      const subject = fields.text('subject') ?? '';
      found.push({
        id,
        subject,
        scope,
        issuedAt,
        expiresAt,
        isRevoked: revoked.has(id),
        isExpired: secondsOver > 0,
      });
    }
    return found.sort((a, b) => a.issuedAt - b.issuedAt);
  }

  /** Revokes a token by its id, also one of another issuer. @throws {RangeError} */
  async revoke(id: string): Promise<void> {
    if (!FOREIGN_ID.test(id)) throw new RangeError(`${JSON.stringify(id)} is no id of a token`);
    const expiresAt = ID.test(id) ? (await this.#readable('issued', id)).number('expiresAt') : undefined;
    await this.#write('revoked', nameOfRevoked(id), { expiresAt });
  }

  /** Reports whether a token was revoked. An id that no token has counts as revoked. */
  async isRevoked(id: string): Promise<boolean> {
    if (!FOREIGN_ID.test(id)) return true;
    return (
      (await stat(join(this.directory, 'revoked', nameOfRevoked(id))).catch(ignoreMissing)) !== undefined
    );
  }

  async #removeExpired(): Promise<void> {
    for (const kind of ['issued', 'revoked'] as const)
      for (const id of await this.#names(kind)) {
        const expiresAt = (await this.#readable(kind, id)).number('expiresAt');
        const isOver = expiresAt !== undefined && (expiresAt + KEPT_SECONDS) * 1000 < Date.now();
        if (isOver) await rm(join(this.directory, kind, id), { force: true });
      }
  }

  async #names(kind: string): Promise<string[]> {
    const names = (await readdir(join(this.directory, kind)).catch(ignoreMissing)) ?? [];
    return names.filter((name) => ID.test(name));
  }

  async #read(kind: string, id: string): Promise<JsonFields | undefined> {
    const text = await readFile(join(this.directory, kind, id), 'utf8').catch(ignoreMissing);
    return text === undefined ? undefined : JsonFields.parse(text);
  }

  /** Returns the fields of a file; none if it cannot be read. */
  async #readable(kind: string, id: string): Promise<JsonFields> {
    return (await this.#read(kind, id).catch(() => undefined)) ?? JsonFields.NONE;
  }

  /** Makes a file, which other processes see as soon as it is complete. */
  async #write(kind: string, id: string, value: unknown): Promise<void> {
    await replaceFile(join(this.directory, kind, id), `${JSON.stringify(value)}\n`, { durable: true });
  }
}

function scopeOrNone(fields: JsonFields): TokenScope | undefined {
  // On failure: the caller reports it
  return attempt(() => parseScope(fields.value('scope')));
}

/** Returns the name of the file of a revoked id. */
function nameOfRevoked(id: string): string {
  return ID.test(id) ? id : `sha256.${hash('sha256', id)}`;
}

/** Returns an id that no command takes for an option. */
function newId(): string {
  return randomBytes(ID_BYTES).toString('hex');
}
