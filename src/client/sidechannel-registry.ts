import type { Duplex } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import { limitedSignal } from '#base/limited-signal';
import { SIDECHANNEL_ID } from '#rpc/common/header-names';
import type { MetadataInit } from '#rpc/common/metadata';
import { confirmSidechannel, readSidechannelId, SidechannelError } from '#rpc/common/sidechannel';

/**
 * The raw byte stream beside one call. Reads what the server sends until it ends; what is written reaches the server framed.
 */
export interface SidechannelConnection extends Duplex {
  /** Tells the server that nothing more comes. Reading goes on. Writing after it is an error. */
  closeWrite(): Promise<void>;
}

export type SidechannelCallback = (connection: SidechannelConnection) => Promise<void>;

/** What a registered callback waits in. Close it after the call, whatever came of the call. */
export interface SidechannelWaiter extends AsyncDisposable {
  readonly id: bigint;
  /** Belongs into the metadata of the call that uses the sidechannel. */
  readonly metadata: MetadataInit;
  /**
   * Resolves when the callback is done, with its failure if it failed. A callback that the server never asked for is taken out:
   * `sidechannel: callback de-registered without having run`. The second call gives the same as the first.
   */
  close(): Promise<void>;
}

/** The longest time for the server to say which callback a stream is for. */
const SETUP_TIMEOUT_MS = 5000;

/**
 * Connects the streams that servers open with the callbacks that wait for them. One registry may serve many connections
 * (`dialSidechannel`) and any number of calls at a time.
 */
export class SidechannelRegistry {
  readonly #waiters = new Map<bigint, Waiter>();
  #nextId = 0n;

  /** Callbacks that the server has not asked for. */
  get size(): number {
    return this.#waiters.size;
  }

  /** Keeps a callback for one call. It runs at most once; its connection is closed when it is done. */
  register(callback: SidechannelCallback): SidechannelWaiter {
    const id = this.#nextId++;
    const waiter = new Waiter(id, callback, () => this.#waiters.delete(id));
    this.#waiters.set(id, waiter);
    return waiter;
  }

  /** Takes a stream of a server after its `sidechannel` magic was read: finds the callback and runs it. The stream is closed at the end. */
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
    this.#outcome.promise.catch(() => {}); // reported by close
  }

  get metadata(): MetadataInit {
    return { [SIDECHANNEL_ID]: String(this.id) };
  }

  close(): Promise<void> {
    if (this.#unregister()) {
      this.#outcome.reject(new GitalyError('UNKNOWN', 'sidechannel: callback de-registered without having run'));
    }
    return this.#outcome.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async run(stream: Duplex): Promise<void> {
    try {
      const connection = toConnection(await confirmSidechannel(stream));
      try {
        await this.#callback(connection);
      } finally {
        connection.destroy();
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
