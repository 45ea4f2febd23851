import { readFile, stat } from 'node:fs/promises';
import { type FileStamp, stampOf } from '#base/files/file-stamp';
import { systemErrorText } from '#base/go/system-error';
import { parseSigningKey, type SigningKey } from './signing-key.ts';

const MAX_FILE_BYTES = 1024 * 1024; // the largest keys have a tenth of that

export interface SigningKeyFiles {
  readonly signingKey: string;
  /** Earlier keys: commits that they signed still count as signed by the server. */
  readonly rotated: readonly string[];
}

/**
 * Returns the configured keys; `undefined` without a key that signs. All files are read once:
 * `onProblem` receives the error of one that cannot be used.
 */
export async function openSigningKeys(
  { signingKey = '', rotatedSigningKeys }: ConfiguredKeys,
  onProblem: (error: unknown) => void,
): Promise<SigningKeys | undefined> {
  if (signingKey === '') return undefined;
  const keys = new SigningKeys({ signingKey, rotated: rotatedSigningKeys });
  await keys.all().catch(onProblem);
  return keys;
}

/** Keys of `[git]`. */
interface ConfiguredKeys {
  readonly signingKey: string | undefined;
  readonly rotatedSigningKeys: readonly string[];
}

/**
 * The keys of a server. A file is read at its first use, and again when it has changed: a key is
 * replaced without a restart.
 */
export class SigningKeys {
  readonly #current: KeyFile;
  readonly #rotated: readonly KeyFile[];

  constructor({ signingKey, rotated }: SigningKeyFiles) {
    this.#current = new KeyFile(signingKey);
    this.#rotated = rotated.map((path) => new KeyFile(path));
  }

  /**
   * Returns the key that signs. @throws {Error} `open file: …`, `parse private key: …`, `read
   * entity: …`.
   */
  current(): Promise<SigningKey> {
    return this.#current.read();
  }

  /** Returns all keys, beginning with the one that signs. @throws {Error} as {@link current}. */
  async all(): Promise<SigningKey[]> {
    return [await this.#current.read(), ...(await Promise.all(this.#rotated.map((file) => file.read())))];
  }
}

class KeyFile {
  readonly #path: string;
  #read: { readonly stamp: FileStamp; readonly key: SigningKey } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<SigningKey> {
    const stamp = await this.#stamp();
    if (this.#read?.stamp === stamp) return this.#read.key;
    const contents = await readFile(this.#path).catch((error: unknown) =>
      this.#refuse(systemErrorText(error), error),
    );
    this.#read = { stamp, key: parseSigningKey(contents) };
    return this.#read.key;
  }

  async #stamp(): Promise<FileStamp> {
    const stats = await stat(this.#path).catch((error: unknown) =>
      this.#refuse(systemErrorText(error), error),
    );
    if (!stats.isFile()) this.#refuse('not a regular file');
    if (stats.size > MAX_FILE_BYTES) this.#refuse('file too large');
    return stampOf(stats);
  }

  #refuse(reason: string, cause?: unknown): never {
    throw new Error(`open file: open ${this.#path}: ${reason}`, { cause });
  }
}
