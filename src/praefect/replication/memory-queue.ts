import type { DequeuedJob, JobEnd, ReplicationJob, ReplicationQueue } from './job.ts';

const ATTEMPTS = 3;

interface Entry {
  readonly id: number;
  readonly job: ReplicationJob;
  readonly createdAt: Date;
  attempts: number;
  isRunning: boolean;
}

/** Replication jobs for as long as the process runs. */
export class MemoryQueue implements ReplicationQueue {
  #entries: Entry[] = [];
  #lastId = 0;

  async enqueue(job: ReplicationJob): Promise<boolean> {
    if (this.#entries.some((entry) => !entry.isRunning && isSame(entry.job, job))) return false;
    this.#lastId++;
    this.#entries.push({
      id: this.#lastId,
      job,
      createdAt: new Date(),
      attempts: ATTEMPTS,
      isRunning: false,
    });
    return true;
  }

  async dequeue(virtualStorage: string, target: string, count: number): Promise<readonly DequeuedJob[]> {
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
      return { ...entry.job, id: entry.id, attemptsLeft: entry.attempts, createdAt: entry.createdAt };
    });
  }

  async acknowledge(id: number, end: JobEnd): Promise<void> {
    const entry = this.#entries.find((each) => each.id === id);
    if (entry === undefined) return;
    entry.isRunning = false;
    if (end !== 'failed') this.#entries = this.#entries.filter((each) => each !== entry);
  }

  /** Nobody else takes jobs of this process. */
  keep(): AsyncDisposable {
    return { [Symbol.asyncDispose]: async () => {} };
  }
}

function isSame(one: ReplicationJob, other: ReplicationJob): boolean {
  return one.change === other.change && lockOf(one) === lockOf(other);
}

function lockOf({ virtualStorage, relativePath, target }: ReplicationJob): string {
  return [virtualStorage, target, relativePath].join('|');
}
