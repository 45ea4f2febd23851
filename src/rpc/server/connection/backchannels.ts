import type { Duplex } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import type { YamuxSession } from '#rpc/common/yamux/session';
import type { Peer } from '../handler.ts';

/** The part of a channel to a client that the registry uses. */
export interface ReverseChannel {
  /** Settles when the channel carries no more calls. */
  readonly closed: Promise<unknown>;
  destroy(error?: Error): void;
}

interface Backchannel<C extends ReverseChannel> {
  readonly session: YamuxSession;
  /** Created at first use, and again if it broke while the session is open. */
  channel: Promise<C> | undefined;
}

/**
 * The multiplexed connections of a server, by the id that a handler finds in `peer.backchannelId`.
 * Ids count from 1 and are never reused. A session removes itself at its end.
 */
export class Backchannels<C extends ReverseChannel> {
  readonly #connect: (stream: Duplex) => C;
  readonly #entries = new Map<number, Backchannel<C>>();
  #lastId = 0;

  /**
   * Creates the registry. `connect` creates the channel (gRPC with us as the client) on a stream
   * that was opened to the client.
   */
  constructor(connect: (stream: Duplex) => C) {
    this.#connect = connect;
  }

  /** Adds a session and returns its id. */
  register(session: YamuxSession): number {
    this.#lastId += 1;
    const id = this.#lastId;
    const entry: Backchannel<C> = { session, channel: undefined };
    this.#entries.set(id, entry);
    void session.closed.then(async () => {
      this.#entries.delete(id);
      // A channel that could not be created has nothing to destroy; the caller has the error.
      const channel = await entry.channel?.catch(() => undefined);
      channel?.destroy(session.error);
    });
    return id;
  }

  /** Returns the session of a call; `undefined` for a plain connection. */
  session(peer: Peer): YamuxSession | undefined {
    return peer.backchannelId === undefined ? undefined : this.#entries.get(peer.backchannelId)?.session;
  }

  /**
   * Returns the id of a call's connection. @throws {GitalyError} INTERNAL `non-multiplexed
   * connection` for a plain one.
   */
  idOf(peer: Peer): number {
    if (peer.backchannelId === undefined) throw new GitalyError('INTERNAL', 'non-multiplexed connection');
    return peer.backchannelId;
  }

  /**
   * Returns the channel to the client of connection `id`, opened at first use.
   * @throws {GitalyError} INTERNAL `no backchannel for peer <id>`; any error of opening the stream
   *   or of `connect`.
   */
  async channel(id: number): Promise<C> {
    const entry = this.require(id);
    entry.channel ??= this.#open(entry);
    return await entry.channel;
  }

  /**
   * Returns connection `id`, which must be open and multiplexed. @throws {GitalyError} INTERNAL `no
   * backchannel for peer <id>`
   */
  require(id: number): Backchannel<C> {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw new GitalyError('INTERNAL', `no backchannel for peer ${id}`);
    return entry;
  }

  get size(): number {
    return this.#entries.size;
  }

  async #open(entry: Backchannel<C>): Promise<C> {
    const forget = () => {
      entry.channel = undefined;
    };
    try {
      const channel = this.#connect(await entry.session.open());
      void channel.closed.then(forget, forget);
      return channel;
    } catch (error) {
      forget();
      throw error;
    }
  }
}
