import type { Duplex } from 'node:stream';
import { limitedSignal } from '#base/async/limited-signal';
import { GitalyError } from '#base/gitaly-error';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';
import { confirmSidechannel, readSidechannelId, SidechannelError } from '#rpc/common/sidechannel';

/**
 * The raw byte stream of one call. Reading yields the server's data until it ends; written data
 * reaches the server in frames.
 */
export interface SidechannelConnection extends Duplex {
  /** Closes the write side. Reading continues. Writing after it is an error. */
  closeWrite(): Promise<void>;
}

export type SidechannelCallback = (connection: SidechannelConnection) => Promise<void>;

/** A registered callback. Close it after the call, whether the call succeeded or failed. */
export interface SidechannelWaiter extends AsyncDisposable {
  readonly id: bigint;
  /** Metadata for the call that uses the sidechannel. */
  readonly metadata: MetadataInit;
  /**
   * Resolves when the callback is done, and rejects if it failed. If the server has not used the
   * callback, it is removed, and the error is `sidechannel: callback de-registered without having
   * run`. A second call has the same result.
   */
  close(): Promise<void>;
}

/** Time limit for the server to send the id of a stream's callback. */
const SETUP_TIMEOUT_MS = 5000;

/**
 * Assigns the streams that servers open to the waiting callbacks. One registry may serve many
 * connections (`dialSidechannel`) and any number of concurrent calls.
 */
export class SidechannelRegistry {
  readonly #waiters = new Map<bigint, Waiter>();
  #nextId = 0n;

  /** Number of callbacks that the server has not used yet. */
  get size(): number {
    return this.#waiters.size;
  }

  /** Reports whether the callback with this id is still waiting for the server. */
  isUnused(id: string): boolean {
    return this.#waiters.has(BigInt(id));
  }

  /**
   * Registers a callback for one call. It runs at most once; its connection is closed when it is
   * done.
   */
  register(callback: SidechannelCallback): SidechannelWaiter {
    const id = this.#nextId++;
    const waiter = new Waiter(id, callback, () => this.#waiters.delete(id));
    this.#waiters.set(id, waiter);
    return waiter;
  }

  /**
   * Accepts a server's stream after its `sidechannel` magic was read: finds the callback and runs
   * it. The stream is closed at the end.
   */
  async accept(stream: Duplex): Promise<void> {
    try {
      const id = await readId(stream);
      const waiter = this.#waiters.get(id);
      if (waiter === undefined) throw new SidechannelError('sidechannel registry: ID not registered');
      this.#waiters.delete(id);
      await waiter.run(stream);
    } finally {
      stream.end();
      stream.destroy();
    }
  }
}

async function readId(stream: Duplex): Promise<bigint> {
  using limited = limitedSignal(SETUP_TIMEOUT_MS);
  return await readSidechannelId(stream, limited);
}

class Waiter implements SidechannelWaiter {
  readonly id: bigint;
  readonly #callback: SidechannelCallback;
  readonly #unregister: () => boolean;
  readonly #outcome = Promise.withResolvers<void>();

  constructor(id: bigint, callback: SidechannelCallback, unregister: () => boolean) {
    this.id = id;
    this.#callback = callback;
    this.#unregister = unregister;
    this.#outcome.promise.catch(() => {}); // close reports it
  }

  get metadata(): MetadataInit {
    return { [SIDECHANNEL_ID]: String(this.id) };
  }

  close(): Promise<void> {
    if (this.#unregister()) {
      this.#outcome.reject(
        new GitalyError('UNKNOWN', 'sidechannel: callback de-registered without having run'),
      );
    }
    return this.#outcome.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async run(stream: Duplex): Promise<void> {
    try {
      const sidechannel = await confirmSidechannel(stream);
      try {
        await this.#callback(toConnection(sidechannel));
      } catch (error) {
        sidechannel.abandon(); // closes, as in Go, and does not reset: unsent data is of no use
        throw error;
      } finally {
        sidechannel.destroy();
      }
      this.#outcome.resolve();
    } catch (error) {
      this.#outcome.reject(error);
    }
  }
}

function toConnection(stream: Duplex): SidechannelConnection {
  const closeWrite = async () => {
    if (stream.writableFinished) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    stream.end((error?: Error | null) => (error ? reject(error) : resolve()));
    await promise;
  };
  return Object.assign(stream, { closeWrite });
}
