import type { DequeuedJob, ReplicationJob } from './job.ts';

const ATTEMPTS = 3;

interface Entry {
  readonly id: number;
  readonly job: ReplicationJob;
  attempts: number;
  isRunning: boolean;
}

/**
 * Replication jobs for as long as the process runs: at most one that waits for each repository,
 * target and change, as one does for all of them. Jobs of one repository on one target run one
 * after the other.
 */
export class MemoryQueue {
  #entries: Entry[] = [];
  #lastId = 0;

  get size(): number {
    return this.#entries.length;
  }

  enqueue(job: ReplicationJob): void {
    if (this.#entries.some((entry) => !entry.isRunning && isSame(entry.job, job))) return;
    this.#lastId++;
    this.#entries.push({ id: this.#lastId, job, attempts: ATTEMPTS, isRunning: false });
  }

  /** Takes up to `count` jobs for a target, oldest first. */
  dequeue(virtualStorage: string, target: string, count: number): DequeuedJob[] {
    const busy = new Set(this.#entries.filter(({ isRunning }) => isRunning).map(({ job }) => lockOf(job)));
    const taken: Entry[] = [];
    for (const entry of this.#entries) {
      if (taken.length === count) break;
      const { job } = entry;
      if (job.virtualStorage !== virtualStorage || job.target !== target || busy.has(lockOf(job))) continue;
      busy.add(lockOf(job));
      taken.push(entry);
    }
    return taken.map((entry) => {
      entry.isRunning = true;
      entry.attempts--;
      return { ...entry.job, id: entry.id, attemptsLeft: entry.attempts };
    });
  }

  /** Ends a job: a failed one is tried again, at most three times in all. */
  acknowledge(id: number, state: 'completed' | 'failed'): void {
    const entry = this.#entries.find((each) => each.id === id);
    if (entry === undefined) return;
    entry.isRunning = false;
    if (state === 'completed' || entry.attempts === 0)
      this.#entries = this.#entries.filter((each) => each !== entry);
  }
}

function isSame(one: ReplicationJob, other: ReplicationJob): boolean {
  return one.change === other.change && lockOf(one) === lockOf(other);
}

function lockOf({ virtualStorage, relativePath, target }: ReplicationJob): string {
  return [virtualStorage, target, relativePath].join('|');
}
