import type { Duplex } from 'node:stream';
import { NextTurn } from '#base/async/loop-turns';
import { object, type Shape, type Shaped } from '#base/shape';
import { handleOf } from '#base/streams/stream-handle';
import { STREAMS_PER_TURN } from './connection-limits.ts';

/** A connection whose bytes are read in turns while it opens many streams. */
export class TurnReader {
  readonly #duplex: Duplex;
  #isPaused = false;
  /**
   * Iteration of the event loop in which it last opened a stream, and the number of streams in it.
   */
  turn = -1;
  opened = 0;

  constructor(duplex: Duplex) {
    this.#duplex = duplex;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  pause(): void {
    this.#isPaused = true;
    const handle = readingHandleOf(this.#duplex);
    if (handle === undefined) this.#duplex.pause();
    else handle.readStop();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#duplex.destroyed) return;
    const handle = readingHandleOf(this.#duplex);
    if (handle === undefined) this.#duplex.resume();
    else handle.readStart();
  }
}

const action: Shape<() => void> = (value): value is () => void => typeof value === 'function';
/** The part of a socket's handle that stops reading. */
const isHandle = object({ readStop: action, readStart: action });
type Handle = Shaped<typeof isHandle>;

/**
 * Returns the handle of a socket, which `node:http2` reads by itself: `pause()` of the socket has
 * no effect then. Other streams have none, and are read as any other consumer reads them.
 */
function readingHandleOf(duplex: Duplex): Handle | undefined {
  const handle = handleOf(duplex);
  return isHandle(handle) ? handle : undefined;
}

/**
 * Makes connections that open many streams take turns. Opening a stream costs some hundredth of a
 * millisecond even if its client resets it at once, and a socket may deliver two mebibytes, which
 * are many thousand streams, in one iteration of the event loop. So a connection with more than
 * {@link STREAMS_PER_TURN} streams in an iteration is not read further. In each later iteration,
 * one of these connections continues. All others are read as usual.
 */
export class ReadingTurns {
  readonly #waiting = new Set<TurnReader>();
  #number = 0;
  readonly #turn = new NextTurn(() => this.#nextTurn());

  /** Counts a stream that a connection has opened. */
  onStream(reader: TurnReader): void {
    this.#turn.schedule();
    if (reader.turn !== this.#number) {
      reader.turn = this.#number;
      reader.opened = 0;
    }
    if (++reader.opened <= STREAMS_PER_TURN || reader.isPaused) return;
    reader.pause();
    this.#waiting.add(reader);
  }

  #nextTurn(): void {
    this.#number++;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    next.resume();
    if (this.#waiting.size > 0) this.#turn.schedule();
  }
}
