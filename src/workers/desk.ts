import type { Answer, Asked, Link } from './link.ts';

/** The answers of a supervisor, for all its workers. */
export class Desk {
  readonly #handlers = new Map<string, (value: unknown, asked: Asked) => Promise<Answer> | Answer>();
  readonly #receivers = new Map<string, (value: unknown, worker: number) => void>();

  /** Registers what answers a topic. */
  onAsked(topic: string, handle: (value: unknown, asked: Asked) => Promise<Answer> | Answer): void {
    this.#handlers.set(topic, handle);
  }

  /** Registers the receiver of a topic that needs no answer. */
  onTold(topic: string, receive: (value: unknown, worker: number) => void): void {
    this.#receivers.set(topic, receive);
  }

  /** Serves a new worker. */
  serve(worker: number, link: Link): void {
    for (const [topic, handle] of this.#handlers) link.onAsked(topic, handle);
    for (const [topic, receive] of this.#receivers) link.onTold(topic, (value) => receive(value, worker));
  }
}
