import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { Limit } from '#base/limits/limit';
import { isWanted, type RepositoryEvent } from '#events/event';
import { TooOldError } from '#events/event-files';
import { eventPayload } from '#events/event-payload';
import type { EventSource } from '#events/event-source';
import type { DeliveryState } from './delivery-state.ts';
import { MAX_CONNECTIONS, RefusedError, type WebhookSender } from './sender.ts';
import type { Webhook } from './webhook.ts';

/** The events that are delivered. */
export type DeliverySource = Pick<EventSource, 'last' | 'oldest' | 'news' | 'read'>;

export interface DeliveriesOptions {
  readonly storage: string;
  readonly journal: DeliverySource;
  readonly webhook: Webhook;
  readonly sender: Pick<WebhookSender, 'send'>;
  readonly state: DeliveryState;
  /** Pause after the first failure; each further one is twice as long. Default 1 s. */
  readonly firstPauseMs?: number;
  /** Age at which an event is given up. Default: a day. */
  readonly giveUpMs?: number;
  readonly onProblem: (error: unknown) => void;
}

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;
/** An old event gets this many attempts too: the server may have been down for longer. */
const MIN_ATTEMPTS = 5;
/** Events that are not delivered yet; later ones stay in the journal. */
const MAX_WAITING = 1000;
const PAGE = 1000;
/** Longest pause after the journal could not be read. */
const MAX_READ_PAUSE_MS = 60 * SECOND_MS;
const JITTER = 0.2;

/** Some events of a journal. */
interface Page {
  readonly events: readonly RepositoryEvent[];
  /** Position behind them. */
  readonly end: number;
  /** True if the journal had no further events. */
  readonly isLast: boolean;
}

/**
 * Delivers the events of one storage to one webhook, from the journal: at least once, those of a
 * repository in their order, others at the same time.
 */
export class Deliveries implements AsyncDisposable {
  readonly #options: DeliveriesOptions;
  readonly #ending = new AbortController();
  readonly #slots = new Limit<string>({ capacity: MAX_CONNECTIONS });
  /** The last delivery of each repository that has any. */
  readonly #tails = new Map<string, Promise<void>>();
  #space = Promise.withResolvers<void>();
  readonly #running: Promise<void>;

  constructor(options: DeliveriesOptions) {
    this.#options = options;
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#ending.signal.aborted) options.onProblem(error);
    });
  }

  /** Ends the attempts. What was not delivered is delivered after the next start. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await Promise.all(this.#tails.values());
    await this.#options.state[Symbol.asyncDispose]();
  }

  /** Rejects when the server stops. */
  async #run(): Promise<never> {
    const { journal, state } = this.#options;
    const { signal } = this.#ending;
    // A cursor beyond the journal belongs to one that was removed.
    state.cursor = Math.min(state.cursor ?? journal.last, journal.last);
    state.changed();
    const noted = [...state.waiting].sort((one, other) => one - other);
    let position = Math.min(state.cursor, (noted[0] ?? Number.POSITIVE_INFINITY) - 1);
    for (;;) {
      const { news } = journal;
      const { end, events, isLast } = await this.#readPage(position);
      for (const event of events) {
        this.#forgetLost(noted, event.sequence);
        await this.#begin(event);
      }
      position = isLast ? this.#lookedAt(end) : end;
      if (isLast && events.length === 0) await abortable(news, signal);
      else signal.throwIfAborted();
    }
  }

  /**
   * Forgets noted events before a sequence: a damaged journal has lost them, and a `resync`
   * replaces them.
   *
   * @param noted in order; those up to the sequence are removed.
   */
  #forgetLost(noted: number[], sequence: number): void {
    for (let [next] = noted; next !== undefined && next <= sequence; [next] = noted) {
      if (next < sequence) this.#options.state.waiting.delete(next);
      noted.shift();
    }
  }

  /** Reads a page as {@link #page}, again and again while the journal cannot be read. */
  async #readPage(position: number): Promise<Page> {
    const { signal } = this.#ending;
    for (let attempt = 1; ; attempt++)
      try {
        return await this.#page(position);
      } catch (error) {
        signal.throwIfAborted();
        const problem = error instanceof Error ? error : new Error(String(error));
        this.#options.onProblem(problem);
        const pauseMs = Math.min(this.#pauseAfter(attempt, problem), MAX_READ_PAUSE_MS);
        await delay(pauseMs, undefined, { signal, ref: false });
      }
  }

  /**
   * Returns some events after a position. If the next ones are no longer kept, that becomes a dead
   * letter.
   */
  async #page(position: number): Promise<Page> {
    const { journal } = this.#options;
    const { last } = journal;
    const page: RepositoryEvent[] = [];
    try {
      for await (const events of journal.read(position)) {
        page.push(...events.slice(0, PAGE - page.length));
        if (page.length >= PAGE) break;
      }
    } catch (error) {
      if (!(error instanceof TooOldError)) throw error;
      return { events: [], end: this.#skip(position, error), isLast: false };
    }
    const end = page.at(-1)?.sequence ?? position;
    const isLast = page.length < PAGE;
    return { events: page, end: isLast ? Math.max(last, end) : end, isLast };
  }

  /**
   * Gives up the events after a position that are no longer kept.
   *
   * @returns the position behind them.
   * @throws {TooOldError} if the journal does not know that yet, as that of a cluster.
   */
  #skip(position: number, error: TooOldError): number {
    const { journal, state, storage } = this.#options;
    const end = journal.oldest;
    if (end <= position) throw error;
    for (const sequence of state.waiting) if (sequence <= end) state.waiting.delete(sequence);
    this.#giveUp({ id: `${storage}:${end}`, repository: '' }, error.message);
    return end;
  }

  /** Notes that there is no event to begin with up to a sequence, which is returned. */
  #lookedAt(sequence: number): number {
    const { state } = this.#options;
    if (sequence > (state.cursor ?? 0)) {
      state.cursor = sequence;
      state.changed();
    }
    return sequence;
  }

  /** Begins to deliver an event when there is space for it. */
  async #begin(event: RepositoryEvent): Promise<void> {
    const { state, webhook } = this.#options;
    const { previousPath, relativePath, sequence } = event;
    const isNew = sequence > (state.cursor ?? 0);
    if (isNew && isWanted(webhook.filter, event)) {
      while (state.waiting.size >= MAX_WAITING) await abortable(this.#space.promise, this.#ending.signal);
      state.waiting.add(sequence);
    }
    if (isNew) {
      state.cursor = sequence;
      state.changed();
    }
    if (!state.waiting.has(sequence)) return;
    // A renamed repository continues the order of its former path.
    const keys = previousPath === undefined ? [relativePath] : [relativePath, previousPath];
    const before = keys.map((key) => this.#tails.get(key));
    const delivery = Promise.all(before)
      .then(() => this.#deliver(event))
      .catch((error: unknown) => {
        if (!this.#ending.signal.aborted) this.#options.onProblem(error);
      })
      .finally(() => {
        for (const key of keys) if (this.#tails.get(key) === delivery) this.#tails.delete(key);
      });
    for (const key of keys) this.#tails.set(key, delivery);
  }

  /** Delivers an event, or gives it up after a day. Rejects when the server stops. */
  async #deliver(event: RepositoryEvent): Promise<void> {
    const { giveUpMs = DAY_MS, state, storage } = this.#options;
    const { signal } = this.#ending;
    const payload = eventPayload(storage, event);
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      const problem = await this.#attempt(payload);
      if (problem === undefined) break;
      if (attempt >= MIN_ATTEMPTS && Date.now() - event.timeMs > giveUpMs) {
        this.#giveUp(payload, problem.message);
        break;
      }
      await delay(this.#pauseAfter(attempt, problem), undefined, { signal, ref: false });
    }
    state.waiting.delete(event.sequence);
    state.changed();
    this.#space.resolve();
    this.#space = Promise.withResolvers();
  }

  /** Makes one attempt. Returns why it failed. */
  async #attempt(payload: ReturnType<typeof eventPayload>): Promise<Error | undefined> {
    const { counts } = this.#options.state;
    const { signal } = this.#ending;
    const slot = await this.#slots.acquire('', { signal });
    try {
      await this.#options.sender.send(payload, signal);
      counts.delivered++;
      counts.lastProblem = undefined;
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      const problem = error instanceof Error ? error : new Error(String(error));
      counts.failed++;
      counts.lastProblem = problem.message;
      this.#options.state.changed(); // others show it
      return problem;
    } finally {
      slot.release();
    }
  }

  #pauseAfter(attempt: number, problem: Error): number {
    const { firstPauseMs = SECOND_MS } = this.#options;
    const pauseMs = Math.min(firstPauseMs * 2 ** (attempt - 1), HOUR_MS);
    const wishedMs = problem instanceof RefusedError ? (problem.retryAfterMs ?? 0) : 0;
    return Math.max(pauseMs, wishedMs) * (1 + JITTER * Math.random());
  }

  #giveUp({ id, repository }: { readonly id: string; readonly repository: string }, reason: string): void {
    this.#options.state.addDeadLetter({ id, repository, reason, time: new Date().toISOString() });
  }
}
