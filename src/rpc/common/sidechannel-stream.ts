import { Duplex } from 'node:stream';
import type { MayEndWrongly } from '#base/stoppable-chunks';
import { FLUSH_PACKET, MAX_PACKET_PAYLOAD_BYTES, PacketSplitter, packetHeader } from './pkt-line.ts';

const FULL_PACKET_HEADER = packetHeader(MAX_PACKET_PAYLOAD_BYTES);

type Done = (error?: Error | null) => void;

/**
 * A sidechannel over a stream of the connection. What the client sends is framed, because a stream cannot be half closed;
 * what the server sends is raw.
 *
 * - `server`: readable = the client's bytes, ends at its `0000`. An end without it (`unexpected EOF`), or bytes that are no packets, end it too: then
 *   there is a `readError`, which its iterators throw; writing goes on: whoever reads decides what that means for the answer. Writable = raw; `end()` ends the stream.
 * - `client`: readable = the server's bytes until it ends the stream. Writable = framed; `end()` is the half close (`0000`),
 *   after which reading goes on. `destroy()` ends the stream.
 *
 * `destroy()` when everything written has left ends the stream like a proper close, so that the peer reads all of it; otherwise
 * it resets the stream. Bytes are never copied, and a write is done when the connection took it.
 */
export class SidechannelStream extends Duplex implements MayEndWrongly {
  readonly #stream: Duplex;
  readonly #role: 'server' | 'client';
  readonly #splitter: PacketSplitter | undefined;
  #hasEnded = false;
  #readError: unknown;

  constructor(stream: Duplex, role: 'server' | 'client') {
    super({ highWaterMark: 64 * 1024 });
    this.#stream = stream;
    this.#role = role;
    this.#splitter = role === 'server' ? new PacketSplitter({ packet: this.#onPacket, payload: this.#deliver }) : undefined;
    // A peer that leaves must not end the process because nobody listens yet. Readers, writers and pipelines still see it.
    this.on('error', () => {});
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', (error) => this.destroy(error));
    stream.on('close', () => {
      if (!this.#hasEnded) this.destroy(new Error('stream closed'));
    });
    // The end may have come with the last bytes of the set-up, before anybody listened.
    if (stream.readableEnded) process.nextTick(this.#onEnd);
    else if (stream.destroyed) this.destroy(stream.errored ?? new Error('stream closed'));
  }

  get readError(): unknown {
    return this.#readError;
  }

  /** The same as of any readable, but that it throws at the end of a peer's bytes that end as they should not. */
  override async *iterator(options?: { destroyOnReturn?: boolean }): AsyncGenerator<Buffer, undefined> {
    yield* super.iterator(options);
    if (this.#readError !== undefined) throw this.#readError;
  }

  override [Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    return this.iterator();
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#writeAll([chunk], done);
  }

  override _writev(items: { chunk: Buffer }[], done: Done): void {
    this.#writeAll(
      items.map((item) => item.chunk),
      done,
    );
  }

  override _final(done: Done): void {
    if (this.#role === 'client') this.#stream.write(FLUSH_PACKET, done);
    else this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#hasEnded = true;
    // Not the error: what was written before it is whole and the call's status says the rest. Half a write is not.
    if (this.writableLength === 0) this.#stream.destroy();
    else this.#stream.destroy(error ?? new Error('stream closed'));
    done(error);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#hasEnded) return;
    if (this.#splitter === undefined) {
      this.#deliver(chunk);
      return;
    }
    try {
      this.#splitter.write(chunk);
    } catch (error) {
      this.#readError = error;
      this.#finishReading();
    }
  };

  readonly #deliver = (piece: Buffer): void => {
    if (!this.push(piece)) this.#stream.pause();
  };

  readonly #onPacket = (length: number): boolean => {
    if (length === 0) {
      this.#finishReading();
      return false;
    }
    if (length < 4) throw new Error(`sidechannel: invalid header ${length}`);
    return true;
  };

  readonly #onEnd = (): void => {
    if (this.#hasEnded) return;
    if (this.#splitter === undefined) {
      this.#finishReading();
      return;
    }
    try {
      this.#splitter.end();
      throw new Error('unexpected EOF');
    } catch (error) {
      this.#readError = error;
    }
    this.#finishReading();
  };

  /** What still comes is read and thrown away, else the stream's own end would never be seen. */
  #finishReading(): void {
    this.#hasEnded = true;
    this.push(null);
    this.#stream.resume();
  }

  #writeAll(chunks: readonly Buffer[], done: Done): void {
    const stream = this.#stream;
    const last = chunks.length - 1;
    stream.cork();
    for (let index = 0; index <= last; index += 1) {
      // In range by the loop's bounds.
      const chunk = chunks[index] as Buffer;
      const onWritten = index === last ? done : undefined;
      if (this.#role === 'client') this.#writeFramed(chunk, onWritten);
      else stream.write(chunk, onWritten);
    }
    stream.uncork();
  }

  #writeFramed(chunk: Buffer, done: Done | undefined): void {
    let offset = 0;
    while (chunk.length - offset > MAX_PACKET_PAYLOAD_BYTES) {
      this.#stream.write(FULL_PACKET_HEADER);
      this.#stream.write(chunk.subarray(offset, offset + MAX_PACKET_PAYLOAD_BYTES));
      offset += MAX_PACKET_PAYLOAD_BYTES;
    }
    if (chunk.length === 0) {
      this.#stream.write(chunk, done);
      return;
    }
    this.#stream.write(packetHeader(chunk.length - offset));
    this.#stream.write(offset === 0 ? chunk : chunk.subarray(offset), done);
  }
}
