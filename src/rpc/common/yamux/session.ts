import type { Duplex } from 'node:stream';
import { FLAG, FRAME_TYPE, GO_AWAY } from './frame.ts';
import { FrameParser } from './frame-parser.ts';
import { FrameWriter } from './frame-writer.ts';
import { Pings } from './pings.ts';
import { type YamuxOptions, type YamuxSettings, yamuxSettings } from './settings.ts';
import { YamuxStream } from './stream.ts';
import { Waiters } from './waiters.ts';
import { YamuxError } from './yamux-error.ts';

/** The last stream id; a session that reaches it opens no more streams. */
const LAST_STREAM_ID = 0xffff_fffd;

/**
 * Limit of the peer's streams that were never accepted: refused because the backlog was full, or
 * reset in it. More than this is a flood: Gitaly's clients open one stream, and Gitaly waits for
 * the ACK of each stream before it opens another.
 */
const MAX_UNACCEPTED_STREAMS = 1000;

/** Time for the connection to send our last frame (a go away) before it is destroyed. */
const DRAIN_MS = 1000;

/**
 * Many streams over one connection, wire-compatible with hashicorp/yamux (version 0), both roles.
 * See README.md.
 *
 * The session owns the connection and closes it. It never throws for errors of the peer: it ends,
 * `closed` resolves, and `error` has the reason.
 */
export class YamuxSession {
  /** Resolves when the session has ended, for any reason; never rejects. */
  readonly closed: Promise<void>;
  readonly settings: YamuxSettings;
  readonly writer: FrameWriter;
  readonly #connection: Duplex;
  readonly #parser: FrameParser;
  readonly #streams = new Map<number, YamuxStream>();
  /** Own streams without ACK, each with the timer that ends the session. Size ≤ acceptBacklog. */
  readonly #unacknowledged = new Map<number, NodeJS.Timeout>();
  readonly #openWaiters = new Waiters<void>();
  /** Streams of the peer that wait for `accept`. Size ≤ acceptBacklog. */
  readonly #backlog = new Set<YamuxStream>();
  /** Number of the peer's streams that ended without being accepted. */
  #unaccepted = 0;
  readonly #acceptWaiters = new Waiters<YamuxStream | undefined>();
  readonly #pings: Pings;
  readonly #resolveClosed: () => void;
  #nextStreamId: number;
  #payloadStream: YamuxStream | undefined;
  #isFinBehindPayload = false;
  #isLocalGoAway = false;
  #isRemoteGoAway = false;
  #isEnded = false;
  #error: Error | undefined;

  constructor(connection: Duplex, options: YamuxOptions) {
    this.settings = yamuxSettings(options);
    this.#connection = connection;
    this.#nextStreamId = this.settings.role === 'client' ? 1 : 2;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#resolveClosed = resolve;
    this.writer = new FrameWriter(connection, {
      timeoutMs: this.settings.connectionWriteTimeoutMs,
      onWritten: (bytes) => this.settings.onTransfer?.('write', bytes),
      onStuck: () => this.destroy(new YamuxError('write-timeout', 'connection write timeout')),
    });
    this.#pings = new Pings(
      (value) => this.writer.control(FRAME_TYPE.ping, FLAG.syn, 0, value),
      this.settings.connectionWriteTimeoutMs,
    );
    this.#parser = new FrameParser({ frame: this.#onFrame, payload: this.#onPayload });
    connection.on('error', (error) => this.#end(error));
    connection.on('end', () => this.#onConnectionEnd());
    connection.on('close', () => this.#end(new YamuxError('session-closed', 'session shutdown')));
    connection.on('data', this.#onData);
    // It may have ended before the listener was added.
    if (connection.readableEnded || connection.destroyed) process.nextTick(() => this.#onConnectionEnd());
  }

  /** The reason why the session ended; `undefined` while it runs and after a proper end. */
  get error(): Error | undefined {
    return this.#error;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Number of streams that are not closed on both sides. */
  get streamCount(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream. Resolves when the SYN is sent; data may be written before the peer accepts.
   * Waits while `acceptBacklog` own streams are unacknowledged.
   *
   * @throws {YamuxError} `session-closed`, `remote-go-away`, `ids-exhausted`; the abort reason when
   *   `signal` fires first.
   */
  async open(options: { signal?: AbortSignal } = {}): Promise<YamuxStream> {
    options.signal?.throwIfAborted();
    while (this.#unacknowledged.size >= this.settings.acceptBacklog) {
      this.#checkMayOpen();
      await this.#openWaiters.wait(options.signal);
    }
    this.#checkMayOpen();
    if (this.#nextStreamId > LAST_STREAM_ID) throw new YamuxError('ids-exhausted', 'streams exhausted');
    const stream = new YamuxStream(this, this.#nextStreamId);
    this.#nextStreamId += 2;
    this.#streams.set(stream.id, stream);
    this.#unacknowledged.set(
      stream.id,
      setTimeout(() => this.#onOpenTimeout(stream), this.settings.streamOpenTimeoutMs).unref(),
    );
    stream.announce(FLAG.syn);
    return stream;
  }

  /**
   * Returns the next stream of the peer, in the order of their SYNs; `undefined` when the session
   * has ended.
   */
  async accept(options: { signal?: AbortSignal } = {}): Promise<YamuxStream | undefined> {
    options.signal?.throwIfAborted();
    const [waiting] = this.#backlog;
    if (waiting !== undefined) {
      this.#backlog.delete(waiting);
      waiting.announce(FLAG.ack);
      return waiting;
    }
    if (this.#isEnded) return undefined;
    return await this.#acceptWaiters.wait(options.signal);
  }

  /** Yields the peer's streams until the session ends. */
  async *[Symbol.asyncIterator](): AsyncGenerator<YamuxStream, void, undefined> {
    for (let stream = await this.accept(); stream !== undefined; stream = await this.accept()) yield stream;
  }

  /**
   * Measures the round trip in milliseconds. @throws {YamuxError} `ping-timeout` after
   * `connectionWriteTimeoutMs`, `session-closed`.
   */
  async ping(): Promise<number> {
    if (this.#isEnded) throw this.#closedError();
    return await this.#pings.ping();
  }

  /**
   * Closes in order: sends go away, lets the open streams finish, then ends the connection. New
   * streams of the peer are reset. Resolves with `closed`.
   */
  async close(): Promise<void> {
    if (!this.#isEnded && !this.#isLocalGoAway) {
      this.#goAway(GO_AWAY.normal);
      for (const stream of this.#backlog) stream.destroy();
      this.#rejectOpeners();
      this.#endWhenIdle();
    }
    await this.closed;
  }

  /** Ends at once: unfinished streams fail with `error`. */
  destroy(error: Error = new YamuxError('session-closed', 'session shutdown')): void {
    this.#end(error);
    this.#connection.destroy();
  }

  /** Releases the id of a stream (called by streams). */
  release(stream: YamuxStream): void {
    if (this.#streams.get(stream.id) !== stream) return;
    this.#streams.delete(stream.id);
    this.#backlog.delete(stream);
    this.#acknowledge(stream.id);
    this.#endWhenIdle();
  }

  /** Ends the session when only draining streams are left (called by streams). */
  startDraining(): void {
    this.#endWhenIdle();
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isEnded) return;
    this.settings.onTransfer?.('read', chunk.length);
    try {
      this.#parser.write(chunk);
    } catch (error) {
      if (error instanceof YamuxError) {
        this.#fail(error);
        return;
      }
      // Not the peer's fault: a listener of a stream threw. The rest of the chunk is lost, so the
      // session cannot continue.
      this.destroy(new YamuxError('session-closed', 'session shutdown', { cause: error }));
      throw error;
    }
  };

  readonly #onFrame = (type: number, flags: number, streamId: number, length: number): void => {
    if (this.#isEnded) throw this.#closedError();
    if (type === FRAME_TYPE.ping) this.#onPing(flags, length);
    else if (type === FRAME_TYPE.goAway) this.#onGoAway(length);
    else this.#onStreamFrame(type, flags, streamId, length);
  };

  #onStreamFrame(type: number, flags: number, streamId: number, length: number): void {
    if ((flags & FLAG.syn) !== 0) this.#onSyn(streamId);
    const stream = this.#streams.get(streamId);
    this.#payloadStream = type === FRAME_TYPE.data ? stream : undefined;
    // Late frames of a closed stream are normal; their payload is discarded.
    if (stream === undefined) return;
    if ((flags & FLAG.ack) !== 0) this.#acknowledge(streamId);
    if (type === FRAME_TYPE.windowUpdate) stream.grow(length);
    else if (!stream.isLingering) stream.expect(length);
    if ((flags & FLAG.rst) !== 0) {
      if (this.#backlog.has(stream)) this.#countUnaccepted();
      stream.receiveReset();
    } else if ((flags & FLAG.fin) !== 0) {
      this.#isFinBehindPayload = type === FRAME_TYPE.data && length > 0;
      if (!this.#isFinBehindPayload) stream.receiveFin();
    }
  }

  readonly #onPayload = (piece: Buffer, isLast: boolean): void => {
    this.#payloadStream?.receive(piece);
    if (!isLast || !this.#isFinBehindPayload) return;
    this.#isFinBehindPayload = false;
    this.#payloadStream?.receiveFin();
  };

  #onSyn(streamId: number): void {
    const ownParity = this.settings.role === 'client' ? 1 : 0;
    if (streamId === 0 || streamId % 2 === ownParity)
      throw new YamuxError('protocol', 'stream id of the wrong side');
    if (this.#streams.has(streamId)) throw new YamuxError('protocol', 'duplicate stream initiated');
    const isWanted = !this.#acceptWaiters.isEmpty;
    if (this.#isLocalGoAway || (!isWanted && this.#backlog.size >= this.settings.acceptBacklog)) {
      this.#countUnaccepted();
      this.writer.control(FRAME_TYPE.windowUpdate, FLAG.rst, streamId, 0);
      return;
    }
    const stream = new YamuxStream(this, streamId);
    this.#streams.set(streamId, stream);
    if (!isWanted) {
      this.#backlog.add(stream);
      return;
    }
    stream.announce(FLAG.ack);
    this.#acceptWaiters.resolveFirst(stream);
  }

  #countUnaccepted(): void {
    this.#unaccepted += 1;
    if (this.#unaccepted > MAX_UNACCEPTED_STREAMS)
      throw new YamuxError('protocol', 'too many streams that nobody accepts');
  }

  #onPing(flags: number, value: number): void {
    if ((flags & FLAG.syn) !== 0) this.writer.control(FRAME_TYPE.ping, FLAG.ack, 0, value);
    else this.#pings.answered(value);
  }

  #onGoAway(code: number): void {
    if (code !== GO_AWAY.normal) {
      this.destroy(
        new YamuxError(
          'remote-go-away',
          code === GO_AWAY.protocolError
            ? 'remote reported a protocol error'
            : `remote went away with code ${code}`,
        ),
      );
      return;
    }
    this.#isRemoteGoAway = true;
    this.#rejectOpeners();
  }

  #acknowledge(streamId: number): void {
    const timer = this.#unacknowledged.get(streamId);
    if (timer === undefined) return;
    clearTimeout(timer);
    this.#unacknowledged.delete(streamId);
    this.#openWaiters.resolveFirst();
  }

  #onOpenTimeout(stream: YamuxStream): void {
    // For a stream that we have closed, the close timeout applies instead.
    if (!stream.hasSentFin) this.destroy(new YamuxError('stream-open-timeout', 'stream open timeout'));
  }

  #checkMayOpen(): void {
    if (this.#isEnded) throw this.#closedError();
    if (this.#isRemoteGoAway)
      throw new YamuxError('remote-go-away', 'remote end is not accepting connections');
    if (this.#isLocalGoAway) throw new YamuxError('session-closed', 'session shutdown');
  }

  #closedError(): YamuxError {
    return new YamuxError(
      'session-closed',
      'session shutdown',
      this.#error === undefined ? undefined : { cause: this.#error },
    );
  }

  #goAway(code: number): void {
    this.#isLocalGoAway = true;
    this.writer.control(FRAME_TYPE.goAway, 0, 0, code);
  }

  /** Wakes waiting openers, which then fail. */
  #rejectOpeners(): void {
    this.#openWaiters.resolveAll();
  }

  #onConnectionEnd(): void {
    this.#end(new YamuxError('session-closed', 'session shutdown'), { isProper: this.#streams.size === 0 });
    this.#connection.end();
    this.#cutSoon();
  }

  #endWhenIdle(): void {
    if (!this.#isLocalGoAway || this.#isEnded) return;
    for (const stream of this.#streams.values()) if (!stream.isLingering) return;
    this.#end(new YamuxError('session-closed', 'session shutdown'), { isProper: true });
    this.#connection.end();
    this.#cutSoon();
  }

  /** Reports a protocol error to the peer and ends the session. */
  #fail(error: YamuxError): void {
    if (this.#isEnded) return;
    this.#goAway(GO_AWAY.protocolError);
    this.#end(error);
    this.#connection.end();
    this.#cutSoon();
  }

  #cutSoon(): void {
    const timer = setTimeout(() => this.#connection.destroy(), DRAIN_MS).unref();
    this.#connection.once('close', () => clearTimeout(timer));
  }

  #end(error: Error, options: { isProper: boolean } = { isProper: false }): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    if (!options.isProper) this.#error = error;
    this.writer.close();
    for (const timer of this.#unacknowledged.values()) clearTimeout(timer);
    this.#unacknowledged.clear();
    this.#pings.fail(this.#closedError());
    this.#backlog.clear();
    for (const stream of this.#streams.values()) stream.sessionEnded(error);
    this.#streams.clear();
    this.#rejectOpeners();
    this.#acceptWaiters.resolveAll(undefined);
    this.#resolveClosed();
  }
}
