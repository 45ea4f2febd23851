import type { Duplex } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import type { YamuxSession } from '#rpc/common/yamux/session';
import type { Peer } from './handler.ts';

/** What the registry needs to know of a channel to a client. */
export interface ReverseChannel {
  /** Settles when the channel carries no more calls. */
  readonly closed: Promise<unknown>;
  destroy(error?: Error): void;
}

interface Backchannel<C extends ReverseChannel> {
  readonly session: YamuxSession;
  /** Made at the first use, and again when it broke while the session lives. */
  channel: Promise<C> | undefined;
}

/**
 * The multiplexed connections of a server, by the id that a handler finds in its call's `peer.backchannelId`. Ids count from 1 and
 * are never used twice. A session that ends leaves by itself.
 */
export class Backchannels<C extends ReverseChannel> {
  readonly #connect: (stream: Duplex) => C;
  readonly #entries = new Map<number, Backchannel<C>>();
  #lastId = 0;

  /** `connect` makes the channel (gRPC with us as the client) on a stream that was opened towards the client. */
  constructor(connect: (stream: Duplex) => C) {
    this.#connect = connect;
  }

  /** Adds a session and gives its id. */
  register(session: YamuxSession): number {
    this.#lastId += 1;
    const id = this.#lastId;
    const entry: Backchannel<C> = { session, channel: undefined };
    this.#entries.set(id, entry);
    void session.closed.then(async () => {
      this.#entries.delete(id);
      // A channel that could not be made has nothing to destroy; whoever asked for it has the error.
      const channel = await entry.channel?.catch(() => undefined);
      channel?.destroy(session.error);
    });
    return id;
  }

  /** The session that a call came in on; `undefined` for a plain connection. */
  session(peer: Peer): YamuxSession | undefined {
    return peer.backchannelId === undefined ? undefined : this.#entries.get(peer.backchannelId)?.session;
  }

  /** The id of a call's connection. @throws {GitalyError} INTERNAL `non-multiplexed connection` for a plain one. */
  idOf(peer: Peer): number {
    if (peer.backchannelId === undefined) throw new GitalyError('INTERNAL', 'non-multiplexed connection');
    return peer.backchannelId;
  }

  /**
   * The channel to the client of connection `id`, opened at the first use.
   * @throws {GitalyError} INTERNAL `no backchannel for peer <id>`; whatever opening the stream or `connect` throws.
   */
  async channel(id: number): Promise<C> {
    const entry = this.require(id);
    entry.channel ??= this.#open(entry);
    return await entry.channel;
  }

  /** Checks that connection `id` is there and multiplexed. @throws {GitalyError} INTERNAL `no backchannel for peer <id>` */
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
