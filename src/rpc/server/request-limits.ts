import { loopTurn } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { Limit } from '#base/limits/limit';
import type { IncomingLimits } from '#rpc/common/grpc/incoming-frames';
import {
  DECOMPRESSIONS_AT_ONCE,
  ELEMENT_BYTES,
  LARGE_REQUEST_BYTES,
  MAX_HELD_BYTES,
  MAX_HELD_BYTES_PER_CONNECTION,
  MAX_REQUEST_ELEMENTS,
  MAX_WORK_BYTES,
} from './connection/connection-limits.ts';

/** Limits for the requests of all connections of one server. */
export class RequestLimits {
  readonly work = new Limit<object>({ name: 'large requests', capacity: MAX_WORK_BYTES });
  readonly decompressing = new Limit<object>({
    name: 'compressed messages',
    capacity: DECOMPRESSIONS_AT_ONCE,
  });
  /** Bytes of unread messages, on all connections. */
  heldBytes = 0;
}

/** The part of {@link RequestLimits} that one connection may use. */
export class ConnectionRequestLimits implements IncomingLimits {
  readonly #server: RequestLimits;
  #heldBytes = 0;

  constructor(server: RequestLimits) {
    this.#server = server;
  }

  hold(bytes: number): void {
    const isTooMuch =
      this.#heldBytes + bytes > MAX_HELD_BYTES_PER_CONNECTION ||
      this.#server.heldBytes + bytes > MAX_HELD_BYTES;
    if (bytes > 0 && isTooMuch)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'grpc: too many bytes of requests are waiting');
    this.#heldBytes += bytes;
    this.#server.heldBytes += bytes;
  }

  async decompressionTurn(): Promise<() => void> {
    return (await this.#server.decompressing.acquire(this)).release;
  }

  /** Reports whether a message has to be admitted before it is decoded. */
  isLarge(payload: Buffer): boolean {
    return payload.length >= LARGE_REQUEST_BYTES;
  }

  /**
   * Waits until there is memory for a large message, and for an iteration of the event loop to
   * decode it in. The result gives the memory back, and is called when the message is no longer
   * used.
   *
   * @param elements counts those of the message, up to a limit.
   * @throws {GitalyError} RESOURCE_EXHAUSTED when it has too many elements, or too much waits; the
   *   signal's reason when it is aborted.
   */
  async admit(
    payload: Buffer,
    elements: (limit: number) => number,
    signal: AbortSignal,
  ): Promise<() => void> {
    this.hold(payload.length);
    try {
      await loopTurn(signal);
      const count = elements(MAX_REQUEST_ELEMENTS);
      if (count > MAX_REQUEST_ELEMENTS) {
        throw new GitalyError(
          'RESOURCE_EXHAUSTED',
          `grpc: received message with more than ${MAX_REQUEST_ELEMENTS} elements`,
        );
      }
      const units = payload.length + count * ELEMENT_BYTES;
      const taken = this.#server.work.take(this, units);
      if (taken !== undefined) return taken.release;
      const { release } = await this.#server.work.acquire(this, { units, signal });
      await loopTurn();
      return release;
    } finally {
      this.hold(-payload.length);
    }
  }
}
