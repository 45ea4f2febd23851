import { abortable } from '#base/async/abortable';
import { abortError } from '#git/command/process/exit-error';

/** A repository, by its directory. */
export interface Located {
  /** Absolute. */
  readonly path: string;
}

/** A run, from its start to its disposal. */
export interface MaintenanceRun extends Disposable {
  /** Aborted when the run has to make way. */
  readonly signal: AbortSignal;
}

/** The runs of a server, in any of its processes. */
export type RecordedRuns = Pick<MaintenanceRuns, 'isRunning' | 'takeOver' | 'tryStart'>;

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

  /** Starts a run. @returns `undefined` if another run is active. */
  async tryStart(repository: Located, _signal?: AbortSignal): Promise<MaintenanceRun | undefined> {
    return this.#running.has(repository.path) ? undefined : this.#start(repository);
  }

  #start({ path }: Located): MaintenanceRun {
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
      const running = this.#running.get(repository.path);
      if (running === undefined) return this.#start(repository);
      running.abort.abort();
      await abortable(running.ended, signal, abortError);
    }
  }

  isRunning({ path }: Located): boolean | Promise<boolean> {
    return this.#running.has(path);
  }
}
