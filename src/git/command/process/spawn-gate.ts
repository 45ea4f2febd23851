import { availableParallelism } from 'node:os';
import { Limit } from '#base/limits/limit';
import { abortError } from './exit-error.ts';

/**
 * Starts per turn. A start blocks the event loop for some 0.3 ms; more in one turn would delay all
 * other work.
 */
const STARTS_PER_TURN = 4;
/**
 * Number of processes that start at the same time. Starting git takes some milliseconds of a core,
 * which delays other work.
 */
const STARTS_AT_ONCE = 4 * availableParallelism();
/** Time for which a process counts as starting, unless it ends earlier. */
const BEGINNING_MS = 25;
/** Limit of waiting starts; a further one would wait for seconds. */
const MAX_WAITING = 5_000;

/** Owner of a started process, and admission of starts. */
export interface SpawnAdmission {
  /** Returns the owner of a process that is started here. Owners take turns. */
  owner(): object | undefined;
  /**
   * Waits until a process may run here.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED; the signal's reason when it is aborted.
   */
  admit(signal: AbortSignal | undefined): Promise<void>;
}

/** Receives the time that a start of a process waited. */
export interface SpawnWaits {
  /** A start waits (1), or no longer does (-1). */
  waiting(change: 1 | -1): void;
  /** Seconds that a start has waited for its turn. */
  waited(seconds: number): void;
  /** A start was refused because too many wait. */
  refused(): void;
}

/**
 * Spreads starts of processes over time and over iterations of the event loop, so that a burst of
 * requests from one client does not delay others.
 */
export class SpawnGate {
  readonly #admission: SpawnAdmission | undefined;
  readonly #waits: SpawnWaits | undefined;
  readonly #beginning = new Limit<object>({
    name: 'starts of processes',
    capacity: STARTS_AT_ONCE,
    maxWaiting: MAX_WAITING,
  });
  /** Turns that were given and not used yet, the oldest first. */
  readonly #given = new Set<() => void>();
  #startedThisTurn = 0;
  #turn: Promise<void> | undefined;

  constructor(admission?: SpawnAdmission, waits?: SpawnWaits) {
    this.#admission = admission;
    this.#waits = waits;
  }

  get queueLength(): number {
    return this.#beginning.waiting;
  }

  /**
   * Resolves when it is the caller's turn; the start must follow at once.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait; CANCELLED or DEADLINE_EXCEEDED
   *   when aborted while waiting.
   */
  async turn(signal?: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    this.#waits?.waiting(1);
    try {
      await this.#turnOf(signal);
      this.#waits?.waited((performance.now() - startedAtMs) / 1000);
    } catch (error) {
      if (signal?.aborted !== true) this.#waits?.refused();
      throw error;
    } finally {
      this.#waits?.waiting(-1);
    }
  }

  /** Notes that a process has been started in the last turn that was given. */
  started(process: { readonly exited: Promise<unknown> }): void {
    const [end] = this.#given;
    if (end === undefined) return;
    this.#given.delete(end);
    void process.exited.then(end);
  }

  async #turnOf(signal: AbortSignal | undefined): Promise<void> {
    const owner = this.#admission?.owner() ?? this;
    try {
      await this.#admission?.admit(signal);
      const { release: end } =
        this.#beginning.take(owner) ?? (await this.#beginning.acquire(owner, { signal }));
      this.#given.add(end);
      setTimeout(() => {
        this.#given.delete(end);
        end();
      }, BEGINNING_MS).unref();
    } catch (error) {
      if (signal?.aborted === true) throw abortError(signal);
      throw error;
    }
    while (this.#startedThisTurn >= STARTS_PER_TURN) await this.#nextTurn();
    if (signal?.aborted === true) throw abortError(signal);
    this.#startedThisTurn++;
    void this.#nextTurn();
  }

  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#startedThisTurn = 0;
        this.#turn = undefined;
        resolve();
      });
    });
    return this.#turn;
  }
}
