import { open } from 'node:fs/promises';
import { checkNames } from '#base/check-names';
import { type FileStamp, NO_FILE, stampOf } from '#base/files/file-stamp';
import type { Identity } from '#gateway/identity';
import type { SshLogin } from '../authentication.ts';
import { type AuthorizedKey, parseAuthorizedKeys, type UnusedLine } from './authorized-keys.ts';

export interface AuthorizedKeysOptions {
  /** Called for each refused line whenever the file was read. */
  readonly onUnused?: (unused: UnusedLine) => void;
}

/** Size limit: some fifty thousand keys. */
const MAX_FILE_BYTES = 8 << 20;

/**
 * Accepts keys from a file in the format of `authorized_keys`, with the identity `key-<line
 * number>` and the comment as user name (`git` without one). The file is read again when it has
 * changed. While it cannot be read, every login is refused: the call rejects.
 */
export function authorizedKeysFile(path: string, options: AuthorizedKeysOptions = {}): AuthorizedKeys {
  checkNames('authorizedKeysFile', options, { onUnused: true });
  const file = new AuthorizedKeysFile(path, options);
  return { authenticate: ({ key }) => file.identityOf(key.data), load: () => file.load() };
}

/** Value of a gateway's `access`. */
export interface AuthorizedKeys {
  readonly authenticate: (login: SshLogin) => Promise<Identity | undefined>;
  /**
   * Reads the file now instead of at the first login. Resolves to the number of keys. @throws the
   * system's error.
   */
  readonly load: () => Promise<number>;
}

class AuthorizedKeysFile {
  readonly #path: string;
  readonly #options: AuthorizedKeysOptions;
  #identities = new Map<string, Identity>();
  #stamp: FileStamp = NO_FILE;
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
    // Reads run one after another; of two concurrent ones, the older text could win. The caller of
    // the earlier one receives its error.
    this.#reading = this.#reading.catch(() => {}).then(() => this.#readIfChanged());
    await this.#reading;
    return this.#identities.size;
  }

  async #readIfChanged(): Promise<void> {
    await using file = await open(this.#path);
    const stats = await file.stat();
    const stamp = stampOf(stats);
    if (stamp === this.#stamp) return;
    if (stats.size > MAX_FILE_BYTES) throw new Error(`${this.#path} is larger than ${MAX_FILE_BYTES} bytes`);
    const { keys, unused } = parseAuthorizedKeys(await file.readFile('utf8'));
    this.#identities = new Map(keys.map((key) => [key.data.toString('base64'), identityOf(key)]));
    this.#stamp = stamp;
    for (const each of unused) this.#options.onUnused?.(each);
  }
}

function identityOf({ comment, line }: AuthorizedKey): Identity {
  return { glId: `key-${line}`, username: comment === '' ? 'git' : comment, keyId: line };
}
