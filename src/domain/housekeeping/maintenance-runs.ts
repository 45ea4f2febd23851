import { abortError } from '#git/command/exit-error';

interface Located {
  /** Absolute. */
  readonly path: string;
}

/** A run, from its start to its disposal. */
export interface MaintenanceRun extends Disposable {
  /** Aborted when the run has to make way. */
  readonly signal: AbortSignal;
}

interface Entry {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/**
 * The maintenance that runs in the repositories of one server: one at a time in each. Everything
 * that moves or drops objects is such a run.
 */
export class MaintenanceRuns {
  readonly #running = new Map<string, Entry>();

  /** Starts a run. @returns `undefined` if there is one already. */
  tryStart({ path }: Located): MaintenanceRun | undefined {
    if (this.#running.has(path)) return undefined;
    const abort = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const entry = { abort, ended };
    this.#running.set(path, entry);
    return {
      signal: abort.signal,
      [Symbol.dispose]: () => {
        if (this.#running.get(path) === entry) this.#running.delete(path);
        resolve();
      },
    };
  }

  /**
   * Starts a run for an operation that cannot be left out: aborts the one that is running and waits
   * for its end.
   *
   * @throws {GitalyError} CANCELLED or DEADLINE_EXCEEDED when aborted while waiting.
   */
  async takeOver(repository: Located, signal: AbortSignal): Promise<MaintenanceRun> {
    for (;;) {
      if (signal.aborted) throw abortError(signal);
      const run = this.tryStart(repository);
      if (run !== undefined) return run;
      const running = this.#running.get(repository.path);
      running?.abort.abort();
      await Promise.race([running?.ended, aborted(signal)]);
    }
  }

  isRunning({ path }: Located): boolean {
    return this.#running.has(path);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
