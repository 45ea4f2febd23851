import { GitalyError } from '#base/gitaly-error';
import { BriefMap } from '#base/memory/brief-map';
import { ConnectionError } from './connection-error.ts';
import type { FrameStream } from './frame-stream.ts';

const MAX_STREAM_ID = 0x7fff_ffff;
/** Limit of streams that wait until the peer allows them. */
const MAX_WAITING_STREAMS = 16_384;

/** The streams of a connection: those that are open, and those that wait for the peer's limit. */
export class OpenStreams {
  readonly #start: (stream: FrameStream, id: number) => void;
  readonly #open = new BriefMap<number, FrameStream>();
  /** Waiting requests in the order of their arrival; each may leave at any time. */
  readonly #waiting = new Set<FrameStream>();
  #nextId = 1;

  /** @param start sends the headers of a stream. */
  constructor(start: (stream: FrameStream, id: number) => void) {
    this.#start = start;
  }

  /** True when none is open and none waits. */
  get isEmpty(): boolean {
    return this.#open.size === 0 && this.#waiting.size === 0;
  }

  /** True when all numbers of streams are used: further ones need another connection. */
  get isExhausted(): boolean {
    return this.#nextId > MAX_STREAM_ID;
  }

  /**
   * Opens a stream, or lets it wait.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait.
   */
  add(stream: FrameStream, limit: number): void {
    if (this.#open.size < limit && this.#waiting.size === 0) {
      this.#openOne(stream);
      return;
    }
    if (this.#waiting.size >= MAX_WAITING_STREAMS)
      throw new GitalyError('RESOURCE_EXHAUSTED', 'too many calls wait for the server');
    this.#waiting.add(stream);
  }

  /** Opens streams that wait, up to the limit. */
  openWaiting(limit: number): void {
    for (const stream of this.#waiting) {
      if (this.#open.size >= limit || this.isExhausted) return;
      this.#waiting.delete(stream);
      this.#openOne(stream);
    }
  }

  /**
   * Returns an open stream; undefined for one that has ended.
   *
   * @throws {ConnectionError} for one that this side has never opened.
   */
  get(id: number): FrameStream | undefined {
    if (id % 2 === 0 || id >= this.#nextId)
      throw new ConnectionError('PROTOCOL_ERROR', `a frame for the unknown stream ${id}`);
    return this.#open.get(id);
  }

  delete(stream: FrameStream): void {
    if (stream.id === 0) this.#waiting.delete(stream);
    else this.#open.delete(stream.id);
  }

  /** Returns the open streams above a number, and all that wait. */
  after(id: number): FrameStream[] {
    const streams = [...this.#waiting];
    this.#open.forEach((stream) => {
      if (stream.id > id) streams.push(stream);
    });
    return streams;
  }

  #openOne(stream: FrameStream): void {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#open.set(id, stream);
    this.#start(stream, id);
  }
}
