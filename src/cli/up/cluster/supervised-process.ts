import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import type { Link } from '#workers/link';
import type { ProcessGuard } from './process-guard.ts';
import type { RunningProcess } from './running-process.ts';

/**
 * Starts a process, and resolves when it is ready. If it fails, the process has ended.
 *
 * @param onSpawn is called with its pid as soon as there is one.
 */
export type StartProcess = (signal: AbortSignal, onSpawn: (pid: number) => void) => Promise<RunningProcess>;

export interface SupervisedOptions {
  /** Name in notes. */
  readonly name: string;
  readonly start: StartProcess;
  readonly guard: ProcessGuard;
  /** Signal that ends the process if this one is killed. */
  readonly guardSignal: 'INT' | 'KILL';
  /** Aborts the first start. */
  readonly signal: AbortSignal;
  /** Kills the process instead of waiting for its end. */
  readonly force: AbortSignal;
  /** Receives a line about each end and each start that fails. */
  readonly onNote: (text: string) => void;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 10_000;
/** A process that has run for so long is started again without a longer delay. */
const STEADY_MS = 60_000;

/** A process that is started again whenever it ends, until it is disposed. */
export class SupervisedProcess implements AsyncDisposable {
  readonly #options: SupervisedOptions;
  readonly #stopping = new AbortController();
  readonly #supervision: Promise<void>;
  #running: RunningProcess | undefined;

  private constructor(options: SupervisedOptions, running: RunningProcess) {
    this.#options = options;
    this.#supervision = this.#supervise(running);
  }

  /** @throws {Error} when the process does not start at all. */
  static async start(options: SupervisedOptions): Promise<SupervisedProcess> {
    return new SupervisedProcess(options, await startGuarded(options, options.signal));
  }

  /** Pid of the process; `undefined` while it is started again. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** The channel to the process; `undefined` while it is started again, and if it has none. */
  get link(): Link | undefined {
    return this.#running?.link;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#running?.stop(this.#options.force);
    await this.#supervision;
  }

  async #supervise(first: RunningProcess): Promise<void> {
    const { force, guard, name, onNote } = this.#options;
    let waitMs = FIRST_DELAY_MS;
    for (let running: RunningProcess | undefined = first; running !== undefined; ) {
      const startedAt = performance.now();
      this.#running = running;
      if (this.#stopping.signal.aborted) await running.stop(force);
      await running.exited;
      guard.remove(running.pid);
      this.#running = undefined;
      if (this.#stopping.signal.aborted) return;
      onNote(`${name} (process ${running.pid}) exited unexpectedly; restarting it`);
      if (performance.now() - startedAt > STEADY_MS) waitMs = FIRST_DELAY_MS;
      running = await this.#startAgain(waitMs);
      waitMs = Math.min(2 * waitMs, MAX_DELAY_MS);
    }
  }

  /** Resolves to `undefined` when there shall be no other start. */
  async #startAgain(firstDelayMs: number): Promise<RunningProcess | undefined> {
    const { name, onNote } = this.#options;
    const { signal } = this.#stopping;
    for (let waitMs = firstDelayMs; ; waitMs = Math.min(2 * waitMs, MAX_DELAY_MS)) {
      try {
        await delay(waitMs, undefined, { signal });
        const running = await startGuarded(this.#options, signal);
        onNote(`${name} restarted (process ${running.pid})`);
        return running;
      } catch (error) {
        if (signal.aborted) return undefined;
        onNote(`${name} cannot be started: ${messageOf(error)}`);
      }
    }
  }
}

/** Starts a process. The guard has its pid until the process has ended: then others may get it. */
async function startGuarded(
  { guard, guardSignal, start }: SupervisedOptions,
  signal: AbortSignal,
): Promise<RunningProcess> {
  const spawned: number[] = [];
  try {
    return await start(signal, (pid) => {
      spawned.push(pid);
      guard.add(pid, guardSignal);
    });
  } catch (error) {
    for (const pid of spawned) guard.remove(pid);
    throw error;
  }
}
