const MAGIC = 'openssh-key-v1\0';
const PEM = /^-----BEGIN OPENSSH PRIVATE KEY-----\s+([A-Za-z0-9+/=\s]+)-----END OPENSSH PRIVATE KEY-----/;

/**
 * The public half of an OpenSSH private key file, as `<type> <base64>\n`.
 *
 * @throws {Error} when the file is damaged or protected by a passphrase.
 * @see OpenSSH: PROTOCOL.key
 */
export function sshPublicKeyLine(file: string): string {
  const body = PEM.exec(file)?.[1];
  if (body === undefined) throw new Error('ssh: no key found');
  const bytes = Buffer.from(body, 'base64');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new Error('ssh: invalid openssh private key format');

  const reader = new Reader(bytes, MAGIC.length);
  const cipher = reader.string().toString('latin1');
  reader.string(); // name of the key derivation
  reader.string(); // its options
  if (reader.number() !== 1) throw new Error('ssh: multi-key files are not supported');
  const publicKey = reader.string();
  if (cipher !== 'none') throw new Error('ssh: this private key is passphrase protected');
  const type = new Reader(publicKey, 0).string().toString('latin1');
  return `${type} ${publicKey.toString('base64')}\n`;
}

/** Reads the fields of SSH's encoding: numbers of 4 bytes, strings behind their length. */
class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  number(): number {
    this.#require(4);
    const value = this.#bytes.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  string(): Buffer {
    const length = this.number();
    this.#require(length);
    const value = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return value;
  }

  #require(length: number): void {
    if (this.#at + length > this.#bytes.length) throw new Error('ssh: unexpected end of the key');
  }
}
