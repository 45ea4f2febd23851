import type { Answering, Link } from './link.ts';

/** The answers of a supervisor, for all its workers. */
export class Desk implements Answering {
  readonly #registrations: ((link: Link) => void)[] = [];

  onAsked(...given: Parameters<Answering['onAsked']>): void {
    this.#registrations.push((link) => link.onAsked(...given));
  }

  onTold(...given: Parameters<Answering['onTold']>): void {
    this.#registrations.push((link) => link.onTold(...given));
  }

  /** Serves a new worker. */
  serve(link: Link): void {
    for (const register of this.#registrations) register(link);
  }
}
