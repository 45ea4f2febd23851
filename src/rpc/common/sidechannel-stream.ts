import { Duplex } from 'node:stream';
import { FLUSH_PACKET } from '#base/pkt-line/packet';
import { PacketSplitter } from '#base/pkt-line/packet-splitter';
import { PLAIN_FRAMING, writePackets } from '#base/pkt-line/write-packets';
import type { HasReadError } from '#base/streams/stoppable-chunks';

type Done = (error?: Error | null) => void;

/** A stream whose peer may report that it needs no more data. */
interface Abandonable {
  /** Makes `destroy()` end the stream properly even with unsent data. */
  abandon(): void;
}

/**
 * A sidechannel on a stream of the connection. The client's data is framed, because a stream cannot
 * be half closed; the server's data is raw.
 *
 * - `server`: readable = the client's bytes until its `0000`. If the stream ends without it
 *   (`unexpected EOF`) or contains invalid packets, reading ends with a `readError`, which
 *   iterators throw. Writing continues; the reader decides what the error means for the response.
 *   Writable = raw; `end()` ends the stream.
 * - `client`: readable = the server's bytes until it ends the stream. Writable = framed; `end()` is
 *   the half close (`0000`), after which reading continues. `destroy()` ends the stream.
 *
 * If everything written has been sent, `destroy()` ends the stream properly, so that the peer reads
 * all of it. Otherwise it resets the stream, except after `abandon()`: a peer that has cancelled
 * the call sees the end of the stream, as from Gitaly. Bytes are never copied, and a write
 * completes when the connection has accepted it.
 */
export class SidechannelStream extends Duplex implements HasReadError, Abandonable {
  readonly #stream: Duplex & Partial<Abandonable>;
  readonly #role: 'server' | 'client';
  readonly #splitter: PacketSplitter | undefined;
  #hasEnded = false;
  #readError: unknown;

  constructor(stream: Duplex & Partial<Abandonable>, role: 'server' | 'client') {
    super({ highWaterMark: 64 * 1024 });
    this.#stream = stream;
    this.#role = role;
    this.#splitter =
      role === 'server' ? new PacketSplitter({ packet: this.#onPacket, payload: this.#deliver }) : undefined;
    // A peer that disconnects must not end the process for lack of a listener. Readers, writers and
    // pipelines still receive the error.
    this.on('error', () => {});
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('error', (error) => this.destroy(error));
    stream.on('close', () => {
      if (!this.#hasEnded) this.destroy(new Error('stream closed'));
    });
    // The end may have arrived with the last bytes of the handshake, before the listener was added.
    if (stream.readableEnded) process.nextTick(this.#onEnd);
    else if (stream.destroyed) this.destroy(stream.errored ?? new Error('stream closed'));
  }

  get readError(): unknown {
    return this.#readError;
  }

  /** Iterates like any readable, but throws the `readError` at the end. */
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

  abandon(): void {
    this.#stream.abandon?.();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#hasEnded = true;
    // Without the error: everything written before it is complete, and the call's status has the
    // reason. A partial write is an error.
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

  /** Reads and discards further data, because otherwise the stream's end would not be detected. */
  #finishReading(): void {
    this.#hasEnded = true;
    this.push(null);
    this.#stream.resume();
  }

  #writeAll(chunks: readonly Buffer[], done: Done): void {
    const stream = this.#stream;
    if (this.#role === 'client') {
      writePackets(stream, chunks, PLAIN_FRAMING, done);
      return;
    }
    stream.cork();
    for (const [index, chunk] of chunks.entries())
      stream.write(chunk, index === chunks.length - 1 ? done : undefined);
    stream.uncork();
  }
}
