import { Duplex } from 'node:stream';
import { noteBulkBytes } from '../memory/bulk-memory.ts';

type Done = (error?: Error | null) => void;

/** Bytes that one end holds for its reader, as in a socket. */
const HIGH_WATER_BYTES = 256 * 1024;

/**
 * Creates two connected streams in this process: what is written to one is read from the other.
 *
 * They behave like the two ends of a socket. A write copies its bytes, so the writer may overwrite
 * them when it is complete; all chunks of a `cork` arrive as one. A reader never runs within a
 * write. A slow reader delays the writer. The end and the destruction of one end are seen by the
 * other.
 */
export function createDuplexPair(): [Duplex, Duplex] {
  const first = new PairEnd();
  const second = new PairEnd();
  first.peer = second;
  second.peer = first;
  return [first, second];
}

class PairEnd extends Duplex {
  peer: PairEnd | undefined;
  /** Completes the peer's write when this end is read. */
  #delayed: Done | undefined;
  #hasEnded = false;

  constructor() {
    super({ highWaterMark: HIGH_WATER_BYTES, allowHalfOpen: false });
    // A peer that disappears must not end the process for lack of a listener.
    this.on('error', () => {});
  }

  override _read(): void {
    const done = this.#delayed;
    this.#delayed = undefined;
    done?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(Buffer.from(chunk), done);
  }

  override _writev(items: { chunk: Buffer }[], done: Done): void {
    this.#send(Buffer.concat(items.map(({ chunk }) => chunk)), done);
  }

  override _final(done: Done): void {
    process.nextTick(() => {
      this.peer?.receive(null, () => {});
      done();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    const delayed = this.#delayed;
    this.#delayed = undefined;
    process.nextTick(() => {
      delayed?.(closed());
      // What was delivered before stays readable, as with a socket that was closed.
      if (error === null) this.peer?.receive(null, () => {});
      else this.peer?.destroy(closed());
    });
    done(error);
  }

  #send(bytes: Buffer, done: Done): void {
    noteBulkBytes(bytes.length);
    process.nextTick(() => {
      if (this.peer === undefined || this.peer.destroyed) done(closed());
      else this.peer.receive(bytes, done);
    });
  }

  /** Takes bytes, or the end, from the peer. */
  receive(bytes: Buffer | null, done: Done): void {
    const isOver = this.#hasEnded || this.destroyed;
    this.#hasEnded ||= bytes === null;
    if (isOver || this.push(bytes)) done();
    else if (bytes !== null) this.#delayed = done;
  }
}

function closed(): Error {
  return Object.assign(new Error('the other end is closed'), { code: 'EPIPE' });
}
