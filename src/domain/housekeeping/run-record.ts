import type { HousekeepingReport, HousekeepingStep, TaskStatus } from './observer.ts';

export class RunRecord {
  readonly #startedAt = performance.now();
  readonly #tasks = new Map<string, TaskStatus>();
  readonly #stepMs = new Map<HousekeepingStep, number>();

  /** Runs a step and records its duration, and its result for the tasks that it consists of. */
  async step(name: HousekeepingStep, run: () => Promise<void>, tasks: readonly string[] = []): Promise<void> {
    const startedAt = performance.now();
    let status: TaskStatus = 'failure';
    try {
      await run();
      status = 'success';
    } finally {
      this.#stepMs.set(name, performance.now() - startedAt);
      for (const task of tasks) this.#tasks.set(task, status);
    }
  }

  /** Returns the report of the run, which ends now. */
  report(status: TaskStatus): HousekeepingReport {
    const stepMs = new Map(this.#stepMs).set('total', performance.now() - this.#startedAt);
    return { status, tasks: this.#tasks, stepMs };
  }
}
