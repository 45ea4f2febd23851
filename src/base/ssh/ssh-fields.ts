import { withoutLeadingZeros } from './key-numbers.ts';

/**
 * Reads the fields of SSH's encoding (RFC 4251, section 5): numbers of 4 bytes, strings behind
 * their length.
 */
export class SshFields {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(): number {
    return this.#take(4).readUInt32BE();
  }

  /** Shares the memory of the input. */
  string(): Buffer {
    return this.#take(this.number());
  }

  text(): string {
    return this.string().toString('latin1');
  }

  #take(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new Error('ssh: unexpected end of the data');
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return bytes;
  }
}

/** Encodes a string behind its length. */
export function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/**
 * Encodes a positive number of any size after its length. A leading zero is only added to keep it
 * positive.
 */
export function sshNumber(bigEndian: Buffer): Buffer {
  const digits = withoutLeadingZeros(bigEndian);
  return sshString((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), digits]) : digits);
}
