import type { Socket } from 'node:net';
import { holds, InvariantError } from '#base/invariant';
import { anything, flag, number, object, type Shaped, tagged, text } from '#base/shape';
import { fromWire, toWire, wireError } from './wire-error.ts';

const id = { id: number };
const isLinkMessage = tagged({
  tell: object({ topic: text, value: anything }),
  ask: object({ ...id, topic: text, value: anything }),
  /** To the process that answers: the other one no longer waits, or has finished with the answer. */
  end: object(id),
  /** To the process that asks, before the answer. */
  note: object({ ...id, value: anything }),
  answer: object({ ...id, value: anything, isHeld: flag }),
  failure: object({ ...id, error: wireError }),
  /** To the process that answered, about an answer that is held. */
  remark: object({ ...id, value: anything }),
  /** To the process that holds an answer: it should end soon. */
  recall: object(id),
});

/** Messages between a supervisor and a worker. They are copied by V8's serializer. */
export type LinkMessage = Shaped<typeof isLinkMessage>;

/** Sends a message to the other process; `false` when the channel is closed. */
export type Send = (message: LinkMessage, socket?: Socket, onSent?: (error: Error | null) => void) => boolean;

/** The sender of a message: the number of its worker, or 0, and the connection that comes with it. */
export interface Teller {
  readonly worker: number;
  readonly socket: Socket | undefined;
}

/** A connection that goes with a message, and what is called when it was sent. */
export interface TellOptions {
  readonly socket?: Socket;
  readonly onSent?: (error: Error | null) => void;
}

/** The means of a handler while it answers. */
export interface Asked<Note = unknown> {
  /** Aborts when the other process no longer waits, or has ended. */
  readonly signal: AbortSignal;
  /** Sends something to the other process before the answer. */
  note(value: Note): void;
  /** Asks the other process to give the answer back. */
  recall(): void;
}

/** An answer. With `release` it is held until the other process gives it back, or ends. */
export interface LinkAnswer<Value = unknown, Remark = unknown> {
  readonly value: Value;
  release?(): void;
  /** Receives what the holder tells about it. */
  onRemark?(value: Remark): void;
}

/** An answer of the other process. */
export interface Held<Value = unknown, Remark = unknown> {
  readonly value: Value;
  /** Aborts when the other process wants it back. */
  readonly recalled: AbortSignal;
  /** Tells the other process something about it. */
  remark(value: Remark): void;
  /** Gives it back; only the first call counts. */
  release(): void;
}

export interface LinkAskOptions<Note = unknown> {
  readonly signal?: AbortSignal | undefined;
  readonly onNote?: ((value: Note) => void) | undefined;
}

type Handler = (value: unknown, asked: Asked) => Promise<LinkAnswer> | LinkAnswer;
type Receiver = (value: unknown, from: Teller) => void;

/** Where topics are answered: one channel, or those to all workers. */
export interface Answering {
  /** Registers what answers a topic. */
  onAsked(topic: string, handle: Handler): void;
  /** Registers the receiver of a topic that needs no answer. */
  onTold(topic: string, receive: Receiver): void;
}

interface Asking {
  readonly resolve: (held: Held) => void;
  readonly reject: (error: unknown) => void;
  readonly onNote: LinkAskOptions['onNote'];
}

interface Answered {
  readonly ending: AbortController;
  answer: LinkAnswer | undefined;
}

/** The channel has closed: the other process has ended. */
export class LinkClosedError extends Error {
  override readonly name = 'LinkClosedError';
}

/**
 * One end of the channel between a supervisor and a worker. Each side may tell the other something
 * (no answer), or ask for something that the other one answers and, if it is a part of a limit,
 * keeps an account of until it is given back. When a process ends, everything that it held is given
 * back.
 */
export class Link implements Answering {
  readonly #send: Send;
  /** Number of the worker at the other end; 0 for other processes. */
  readonly #other: number;
  readonly #receivers = new Map<string, Receiver>();
  readonly #handlers = new Map<string, Handler>();
  readonly #asking = new Map<number, Asking>();
  readonly #held = new Map<number, AbortController>();
  readonly #answering = new Map<number, Answered>();
  #lastId = 0;
  /** Of the questions of the other process. */
  #lastAsked = 0;
  #isClosed = false;

  constructor(send: Send, other = 0) {
    this.#send = send;
    this.#other = other;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Answers of this process that the other one holds or waits for. */
  get answering(): number {
    return this.#answering.size;
  }

  onTold(topic: string, receive: Receiver): void {
    this.#receivers.set(topic, receive);
  }

  onAsked(topic: string, handle: Handler): void {
    this.#handlers.set(topic, handle);
  }

  /** Tells the other process something, with a connection that it takes over. */
  tell(topic: string, value: unknown, { onSent, socket }: TellOptions = {}): void {
    if (this.#isClosed) onSent?.(new LinkClosedError('the other process has ended'));
    else this.#send({ kind: 'tell', topic, value }, socket, onSent);
  }

  /**
   * Asks the other process.
   *
   * @throws {LinkClosedError} when it ends; the signal's reason; the error of its handler.
   */
  async ask(topic: string, value: unknown, { signal, onNote }: LinkAskOptions = {}): Promise<Held> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new LinkClosedError('the other process has ended');
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<Held>();
    this.#asking.set(id, { resolve, reject, onNote });
    const onAbort = (): void => {
      if (this.#asking.delete(id)) {
        this.#sendNow({ kind: 'end', id });
        reject(signal?.reason);
      }
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#sendNow({ kind: 'ask', id, topic, value });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Handles a message of the other process. */
  receive(message: unknown, socket: Socket | undefined): void {
    if (!isLinkMessage(message)) {
      holds(false, 'process-message', 'a message of another process has an unknown form');
      return;
    }
    if (!this.#isExpected(message)) return;
    switch (message.kind) {
      case 'tell':
        this.#receivers.get(message.topic)?.(message.value, { worker: this.#other, socket });
        return;
      case 'ask':
        void this.#answer(message);
        return;
      case 'end':
        this.#end(message.id);
        return;
      case 'note':
        this.#noted(message);
        return;
      case 'answer':
        this.#answered(message);
        return;
      case 'failure':
        this.#take(message.id)?.reject(fromWire(message.error));
        return;
      case 'remark':
        this.#answering.get(message.id)?.answer?.onRemark?.(message.value);
        return;
      case 'recall':
        this.#held.get(message.id)?.abort();
        return;
    }
  }

  /** Checks the order of questions, and that there is one for all that belongs to it. */
  #isExpected(message: LinkMessage): boolean {
    if (message.kind === 'tell') return true;
    const { id, kind } = message;
    if (kind === 'ask') {
      const what = 'a question of another process has an old number';
      const isNext = holds(id > this.#lastAsked, 'process-message', what);
      if (isNext) this.#lastAsked = id;
      else
        this.#sendNow({
          kind: 'failure',
          id,
          error: toWire(new InvariantError({ invariant: 'process-message', what })),
        });
      return isNext;
    }
    const last = kind === 'end' || kind === 'remark' ? this.#lastAsked : this.#lastId;
    return holds(id > 0 && id <= last, 'process-message', `there was no question for "${kind}"`);
  }

  /** The other process has ended: fails what waits for it, and takes back what it holds. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { reject } of this.#asking.values())
      reject(new LinkClosedError('the other process has ended'));
    this.#asking.clear();
    for (const id of [...this.#answering.keys()]) this.#end(id);
    for (const recalled of this.#held.values()) recalled.abort();
    this.#held.clear();
  }

  #sendNow(message: LinkMessage): void {
    if (!this.#isClosed) this.#send(message);
  }

  #take(id: number): Asking | undefined {
    const asking = this.#asking.get(id);
    this.#asking.delete(id);
    return asking;
  }

  /** A note that is refused ends the question. */
  #noted({ id, value }: Extract<LinkMessage, { kind: 'note' }>): void {
    try {
      this.#asking.get(id)?.onNote?.(value);
    } catch (error) {
      this.#take(id)?.reject(error);
      this.#sendNow({ kind: 'end', id });
    }
  }

  #answered({ id, isHeld, value }: Extract<LinkMessage, { kind: 'answer' }>): void {
    const asking = this.#take(id);
    if (asking === undefined) return; // given up; the other side has been notified
    const recalled = new AbortController();
    if (isHeld) this.#held.set(id, recalled);
    asking.resolve({
      value,
      recalled: recalled.signal,
      remark: (about) => {
        if (this.#held.has(id)) this.#sendNow({ kind: 'remark', id, value: about });
      },
      release: () => {
        if (this.#held.delete(id)) this.#sendNow({ kind: 'end', id });
      },
    });
  }

  async #answer({ id, topic, value }: Extract<LinkMessage, { kind: 'ask' }>): Promise<void> {
    const answering: Answered = { ending: new AbortController(), answer: undefined };
    this.#answering.set(id, answering);
    const { signal } = answering.ending;
    try {
      const handle = this.#handlers.get(topic);
      if (handle === undefined) throw new Error(`nothing answers ${topic}`);
      const answer = await handle(value, {
        signal,
        note: (noted) => this.#sendNow({ kind: 'note', id, value: noted }),
        recall: () => this.#sendNow({ kind: 'recall', id }),
      });
      if (signal.aborted) answer.release?.();
      else if (answer.release === undefined) this.#answering.delete(id);
      else answering.answer = answer;
      if (!signal.aborted)
        this.#sendNow({ kind: 'answer', id, value: answer.value, isHeld: answer.release !== undefined });
    } catch (error) {
      this.#answering.delete(id);
      if (!signal.aborted) this.#sendNow({ kind: 'failure', id, error: toWire(error) });
    }
  }

  #end(id: number): void {
    const answering = this.#answering.get(id);
    this.#answering.delete(id);
    answering?.ending.abort(new LinkClosedError('the other process no longer waits'));
    answering?.answer?.release?.();
  }
}
