import { Writable } from 'node:stream';
import { PacketSplitter } from '#base/pkt-line/packet-splitter';

/** git's has about 300 bytes. */
const MAX_ADVERTISEMENT_BYTES = 64 * 1024;

/**
 * Creates an output for `git upload-pack` (protocol v2) that omits the advertisement at its
 * beginning: the client has it already.
 */
export function withoutAdvertisement(target: Writable): Writable {
  const head = new AdvertisementHead();
  return forwardTo(target, (chunk) => chunk.subarray(head.take(chunk)));
}

/**
 * Creates an output for `git upload-pack` (protocol v2) that passes on a copy of the advertisement
 * at its beginning, once it is complete.
 */
export function observingAdvertisement(
  target: Writable,
  onAdvertisement: (advertisement: Buffer) => void,
): Writable {
  const head = new AdvertisementHead();
  return forwardTo(target, (chunk) => {
    const hadEnded = head.hasEnded;
    head.take(chunk);
    if (head.hasEnded && !hadEnded && head.bytes.length > 0) onAdvertisement(head.bytes);
    return chunk;
  });
}

/**
 * Creates a stream that writes to `target`. It leaves `target` open and buffers nothing: a write
 * completes with that of `target`.
 */
export function forwardTo(target: Writable, change: (chunk: Buffer) => Buffer): Writable {
  const write = (chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void => {
    const rest = change(chunk);
    if (rest.length === 0) done();
    else target.write(rest, done);
  };
  // writers receive the error of their write
  return new Writable({ highWaterMark: 1, write }).on('error', () => {});
}

/** Finds the first flush packet. Bytes that are not packets are not an advertisement. */
class AdvertisementHead {
  readonly #splitter = new PacketSplitter({
    packet: (length) => {
      this.#hasEnded = length === 0;
      return !this.#hasEnded;
    },
    payload: () => {},
  });
  #bytes: Buffer = Buffer.alloc(0);
  #hasEnded = false;

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The complete advertisement once it has ended; empty when there was none. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** @returns how many bytes of the chunk belong to the advertisement. */
  take(chunk: Buffer): number {
    if (this.#hasEnded) return 0;
    try {
      const length = this.#splitter.write(chunk);
      this.#bytes = Buffer.concat([this.#bytes, chunk.subarray(0, length)]);
      if (this.#bytes.length <= MAX_ADVERTISEMENT_BYTES) return length;
    } catch {
      // no packets
    }
    this.#hasEnded = true;
    this.#bytes = Buffer.alloc(0);
    return 0;
  }
}
