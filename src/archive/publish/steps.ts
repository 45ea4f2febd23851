import { setTimeout as delay } from 'node:timers/promises';
import { timeLeftMs } from '#base/async/time-left';
import { Limit } from '#base/limits/limit';
import { isAfter, type JournalPosition } from './journal-position.ts';

/** A piece of work for one repository. */
export interface Step {
  readonly kind: 'changes' | 'created' | 'removed' | 'renamed' | 'settings' | 'compare' | 'missing' | 'work';
  readonly path: string;
  /** Path before, of `renamed`. */
  readonly from?: string;
  /** Last values by name, of `changes`; `undefined` for deletions. */
  readonly changes?: Map<string, string | undefined>;
  /** The function of `work`. */
  readonly work?: () => Promise<void>;
  /** Number of its first event; `undefined` if it is not one of the journal. */
  readonly first?: number;
  /** Time of its first event. */
  readonly firstMs: number;
  /** Its last event. */
  last: JournalPosition;
}

export interface StepsOptions {
  readonly run: (step: Step) => Promise<void>;
  /** Called after an attempt that failed. @returns whether there is another one. */
  readonly onFailure: (step: Step, error: unknown, attempt: number) => boolean;
  /** Called when a step has ended; `isDone`: it succeeded. */
  readonly onEnd: (isDone: boolean) => void;
  /** Time after its first event in which the changes of a repository are joined. */
  readonly joinMs: number;
  readonly signal: AbortSignal;
}

/** Steps that run at once. */
const MAX_RUNNING = 8;
/** Steps that wait; further events stay in the journal. */
const MAX_STEPS = 2000;
/** With more steps, the changes of a repository are joined also if they are further apart. */
const MAX_APART = 1000;
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 15_000;
const JITTER = 0.2;

interface Queued {
  readonly step: Step;
  isStarted: boolean;
}

/**
 * Runs the steps of repositories: those of one path in their order, of different ones at the same
 * time. Changes of a repository that wait are joined. A step that fails is repeated.
 */
export class Steps {
  readonly #options: StepsOptions;
  /** The last step of each path that has any. */
  readonly #tails = new Map<string, { readonly queued: Queued; readonly ended: Promise<void> }>();
  /** Steps of the journal that have not ended, in its order. */
  readonly #ofJournal = new Set<Step>();
  #count = 0;
  readonly #running = new Limit<string>({ capacity: MAX_RUNNING });
  readonly #hurry = new AbortController();
  #space = Promise.withResolvers<void>();

  constructor(options: StepsOptions) {
    this.#options = options;
  }

  /** The first step of the journal that has not ended. */
  get first(): Step | undefined {
    return this.#ofJournal.values().next().value;
  }

  get count(): number {
    return this.#count;
  }

  /** Waits until there is space for a step. @throws the signal's reason. */
  async waitForSpace(): Promise<void> {
    while (this.#count >= MAX_STEPS) {
      this.#options.signal.throwIfAborted();
      await this.#space.promise;
    }
  }

  /** Adds a step, or joins it to one that waits. */
  add(step: Step): void {
    const last = this.#tails.get(step.path)?.queued;
    if (last !== undefined && !last.isStarted && this.#isJoined(last.step, step)) return;
    const queued = { step, isStarted: false };
    const keys = step.from === undefined ? [step.path] : [step.path, step.from];
    const before = keys.map((key) => this.#tails.get(key)?.ended);
    if (step.first !== undefined) this.#ofJournal.add(step);
    this.#count++;
    const ended = Promise.all(before)
      .then(() => this.#work(queued))
      .then((isDone) => {
        this.#count--;
        this.#ofJournal.delete(step);
        for (const key of keys) if (this.#tails.get(key)?.queued === queued) this.#tails.delete(key);
        this.#space.resolve();
        this.#space = Promise.withResolvers();
        this.#options.onEnd(isDone);
      });
    for (const key of keys) this.#tails.set(key, { queued, ended });
  }

  /** Starts all steps without a delay, and waits until all have ended. */
  async finish(): Promise<void> {
    this.#hurry.abort();
    await this.idle();
  }

  /** Waits until no step is left. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all([...this.#tails.values()].map(({ ended }) => ended));
  }

  /** Waits for the steps of some paths that were added until now. */
  async idleOf(paths: Iterable<string>): Promise<void> {
    await Promise.all([...paths].map((path) => this.#tails.get(path)?.ended));
  }

  #isJoined(last: Step, step: Step): boolean {
    if (last.kind !== step.kind) return false;
    // The cursor stays before an event until its own step has ended.
    if (step.first !== undefined && last.first === undefined) return false;
    if (step.kind === 'settings' || step.kind === 'compare') return true;
    if (step.kind !== 'changes') return false;
    const isNear = step.firstMs - last.firstMs <= this.#options.joinMs;
    if (!isNear && this.#count < MAX_APART) return false;
    for (const [name, value] of step.changes ?? []) last.changes?.set(name, value);
    if (isAfter(step.last, last.last)) last.last = step.last;
    return true;
  }

  /** Runs a step until it succeeds or is given up. Never rejects. @returns whether it succeeded. */
  async #work(queued: Queued): Promise<boolean> {
    const { joinMs, onFailure, run, signal } = this.#options;
    const { step } = queued;
    // The clock may have been set back since the event.
    const leftMs = Math.min(timeLeftMs(step.firstMs + joinMs, Date.now()), joinMs);
    await this.#pause(leftMs, this.#hurry.signal);
    for (let attempt = 1; !signal.aborted; attempt++) {
      const { release } = await this.#running.acquire(step.path);
      queued.isStarted = true;
      try {
        await run(step);
        return true;
      } catch (error) {
        if (signal.aborted || !onFailure(step, error, attempt)) return false;
      } finally {
        release();
      }
      const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), MAX_PAUSE_MS);
      await this.#pause(pauseMs * (1 + JITTER * Math.random()));
    }
    return false;
  }

  async #pause(ms: number, hurry?: AbortSignal): Promise<void> {
    if (ms <= 0 || hurry?.aborted === true) return;
    const signal = AbortSignal.any([this.#options.signal, ...(hurry === undefined ? [] : [hurry])]);
    await delay(ms, undefined, { signal, ref: false }).catch(() => {}); // it is over at once then
  }
}
