import { Writable } from 'node:stream';

/** git's is some 300 bytes. */
const MAX_ADVERTISEMENT_BYTES = 64 * 1024;
const LENGTH = /^[0-9a-f]{4}$/;

/** An output of `git upload-pack` (protocol v2) that leaves out the advertisement at its beginning: the client has it already. */
export function withoutAdvertisement(target: Writable): Writable {
  const head = new AdvertisementHead();
  return forwardTo(target, (chunk) => chunk.subarray(head.take(chunk)));
}

/** An output of `git upload-pack` (protocol v2) that hands on a copy of the advertisement at its beginning, once it is complete. */
export function observingAdvertisement(target: Writable, onAdvertisement: (advertisement: Buffer) => void): Writable {
  const head = new AdvertisementHead();
  return forwardTo(target, (chunk) => {
    const hadEnded = head.hasEnded;
    head.take(chunk);
    if (head.hasEnded && !hadEnded && head.bytes.length > 0) onAdvertisement(head.bytes);
    return chunk;
  });
}

/** Leaves `target` open, and holds nothing back: a write is over when that of `target` is. */
function forwardTo(target: Writable, change: (chunk: Buffer) => Buffer): Writable {
  const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
    const rest = change(chunk);
    if (rest.length === 0) done();
    else target.write(rest, done);
  };
  return new Writable({ highWaterMark: 1, write }).on('error', () => {}); // writers are told by their writes
}

/** Finds the first flush packet. Bytes that are no packets are no advertisement. */
class AdvertisementHead {
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The whole, once it has ended; empty when there was none. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @returns how many bytes of the chunk belong to the advertisement. */
  take(chunk: Buffer): number {
    if (this.#hasEnded) return 0;
    const before = this.#bytes.length;
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length - this.#at >= 4) {
      const digits = this.#bytes.toString('latin1', this.#at, this.#at + 4);
      if (digits === '0000') return this.#end(this.#at + 4) - before;
      if (!LENGTH.test(digits) || this.#bytes.length > MAX_ADVERTISEMENT_BYTES) return this.#end(0);
      this.#at += Math.max(Number.parseInt(digits, 16), 4);
    }
    return chunk.length;
  }

  #end(at: number): number {
    this.#hasEnded = true;
    this.#bytes = this.#bytes.subarray(0, at);
    return at;
  }
}
