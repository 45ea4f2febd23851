import type { BigIntStats } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Identity } from '../identity.ts';
import type { SshLogin } from './authentication.ts';
import { type AuthorizedKey, parseAuthorizedKeys, type UnusedLine } from './authorized-keys.ts';

export interface AuthorizedKeysOptions {
  /** Told of each line that lets nobody in, whenever the file was read. */
  readonly onUnused?: (unused: UnusedLine) => void;
}

/** Some fifty thousand keys. */
const MAX_FILE_BYTES = 8 << 20;

/**
 * Lets in whose key is in a file in the format of `authorized_keys`: as `key-<number of the line>`, with the comment as user name
 * (`git` without one). The file is read again when it has changed. While it cannot be read, nobody gets in: the call rejects.
 */
export function authorizedKeysFile(path: string, options: AuthorizedKeysOptions = {}): AuthorizedKeys {
  const file = new AuthorizedKeysFile(path, options);
  return { authenticate: ({ key }) => file.identityOf(key.data), load: () => file.load() };
}

/** To be given to a door as `access`. */
export interface AuthorizedKeys {
  readonly authenticate: (login: SshLogin) => Promise<Identity | undefined>;
  /** Reads the file now rather than at the first login. Resolves to the number of keys. @throws the system's error. */
  readonly load: () => Promise<number>;
}

class AuthorizedKeysFile {
  readonly #path: string;
  readonly #options: AuthorizedKeysOptions;
  #identities = new Map<string, Identity>();
  #version = '';
  #reading: Promise<void> = Promise.resolve();

  constructor(path: string, options: AuthorizedKeysOptions) {
    this.#path = path;
    this.#options = options;
  }

  async identityOf(key: Buffer): Promise<Identity | undefined> {
    await this.load();
    return this.#identities.get(key.toString('base64'));
  }

  async load(): Promise<number> {
    // One after another: of two that read at the same time, the one with the older text could win.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#readIfChanged());
    await this.#reading;
    return this.#identities.size;
  }

  async #readIfChanged(): Promise<void> {
    await using file = await open(this.#path);
    const stats = await file.stat({ bigint: true });
    const version = versionOf(stats);
    if (version === this.#version) return;
    if (stats.size > MAX_FILE_BYTES) throw new Error(`${this.#path} is larger than ${MAX_FILE_BYTES} bytes`);
    const { keys, unused } = parseAuthorizedKeys(await file.readFile('utf8'));
    this.#identities = new Map(keys.map((key) => [key.data.toString('base64'), identityOf(key)]));
    this.#version = version;
    for (const each of unused) this.#options.onUnused?.(each);
  }
}

function versionOf({ dev, ino, mtimeNs, ctimeNs, size }: BigIntStats): string {
  return [dev, ino, mtimeNs, ctimeNs, size].join(' ');
}

function identityOf({ comment, line }: AuthorizedKey): Identity {
  return { glId: `key-${line}`, username: comment === '' ? 'git' : comment, keyId: line };
}
