import { readFile, stat } from 'node:fs/promises';
import { systemErrorText } from '#base/system-error';
import { parseSigningKey, type SigningKey } from './signing-key.ts';

const MAX_FILE_BYTES = 1024 * 1024; // the largest keys have a tenth of that

export interface SigningKeyFiles {
  readonly signingKey: string;
  /** Earlier keys: what they signed is still the server's. */
  readonly rotated: readonly string[];
}

/** The keys of a server. A file is read at its first use, and again when it has changed: a key is replaced without a restart. */
export class SigningKeys {
  readonly #current: KeyFile;
  readonly #rotated: readonly KeyFile[];

  constructor({ signingKey, rotated }: SigningKeyFiles) {
    this.#current = new KeyFile(signingKey);
    this.#rotated = rotated.map((path) => new KeyFile(path));
  }

  /** The key that signs. @throws {Error} `open file: …`, `parse private key: …`, `read entity: …`. */
  current(): Promise<SigningKey> {
    return this.#current.read();
  }

  /** All keys, the one that signs first. @throws {Error} as {@link current}. */
  async all(): Promise<SigningKey[]> {
    return [await this.#current.read(), ...(await Promise.all(this.#rotated.map((file) => file.read())))];
  }
}

class KeyFile {
  readonly #path: string;
  #read: { readonly stamp: string; readonly key: SigningKey } | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async read(): Promise<SigningKey> {
    const stamp = await this.#stamp();
    if (this.#read?.stamp === stamp) return this.#read.key;
    const contents = await readFile(this.#path).catch((error: unknown) => this.#refuse(systemErrorText(error), error));
    this.#read = { stamp, key: parseSigningKey(contents) };
    return this.#read.key;
  }

  /** Changes with the file. */
  async #stamp(): Promise<string> {
    const facts = await stat(this.#path, { bigint: true }).catch((error: unknown) => this.#refuse(systemErrorText(error), error));
    if (!facts.isFile()) this.#refuse('not a regular file');
    if (facts.size > MAX_FILE_BYTES) this.#refuse('file too large');
    return [facts.dev, facts.ino, facts.size, facts.mtimeNs, facts.ctimeNs].join(':');
  }

  #refuse(reason: string, cause?: unknown): never {
    throw new Error(`open file: open ${this.#path}: ${reason}`, { cause });
  }
}
