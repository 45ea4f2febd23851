import type { DequeuedJob, JobEnd, ReplicationJob, ReplicationQueue } from '../model/job.ts';

const ATTEMPTS = 3;

interface Entry {
  /** Ids grow in the order in which jobs are added. */
  readonly id: number;
  job: ReplicationJob;
  readonly createdAt: Date;
  attempts: number;
  state: 'ready' | 'running' | 'failed';
  /** The last id at the time when the job was taken. */
  takenAfter: number;
}

/** Replication jobs for as long as the process runs. */
export class MemoryQueue implements ReplicationQueue {
  #entries: Entry[] = [];
  #lastId = 0;

  async enqueue(job: ReplicationJob): Promise<boolean> {
    if (job.change === 'update') this.#replaceSource(job);
    // One that has failed may have no attempt left for this change, and one that ends with a job
    // that runs does nothing for it.
    const isWaiting = (entry: Entry): boolean =>
      entry.state === 'ready' &&
      isSame(entry.job, job) &&
      !this.#running.some((each) => isDoneBy(each, entry));
    if (this.#entries.some(isWaiting)) return false;
    this.#lastId++;
    this.#entries.push({
      id: this.#lastId,
      job,
      createdAt: new Date(),
      attempts: ATTEMPTS,
      state: 'ready',
      takenAfter: 0,
    });
    return true;
  }

  async dequeue(virtualStorage: string, target: string, count: number): Promise<readonly DequeuedJob[]> {
    const busy = new Set(this.#running.map(({ job }) => lockOf(job)));
    const taken: Entry[] = [];
    for (const entry of this.#entries) {
      if (taken.length === count) break;
      const { job } = entry;
      if (job.virtualStorage !== virtualStorage || job.target !== target || busy.has(lockOf(job))) continue;
      busy.add(lockOf(job));
      taken.push(entry);
    }
    return taken.map((entry) => {
      entry.state = 'running';
      entry.takenAfter = this.#lastId;
      entry.attempts--;
      return { ...entry.job, id: entry.id, attemptsLeft: entry.attempts, createdAt: entry.createdAt };
    });
  }

  async acknowledge(id: number, end: JobEnd): Promise<void> {
    const entry = this.#entries.find((each) => each.id === id && each.state === 'running');
    if (entry === undefined) return;
    entry.state = 'failed';
    if (end === 'failed') return;
    const isDone = (each: Entry): boolean =>
      each === entry || (end === 'completed' && each.state === 'ready' && isDoneBy(entry, each));
    this.#entries = this.#entries.filter((each) => !isDone(each));
  }

  get #running(): readonly Entry[] {
    return this.#entries.filter(({ state }) => state === 'running');
  }

  /**
   * Gives the source of a new job to the jobs that would copy from its target. That target lacks a
   * write, and without a database nothing else keeps it from spreading its state.
   */
  #replaceSource({ relativePath, source, target, virtualStorage }: ReplicationJob): void {
    const wouldCopy = ({ job, state }: Entry): boolean =>
      state !== 'running' &&
      job.source === target &&
      job.virtualStorage === virtualStorage &&
      job.relativePath === relativePath;
    this.#entries = this.#entries.filter((entry) => !(wouldCopy(entry) && entry.job.target === source));
    for (const entry of this.#entries) if (wouldCopy(entry)) entry.job = { ...entry.job, source };
  }

  /** Does nothing: no other process takes jobs of this process. */
  keep(): AsyncDisposable {
    return { [Symbol.asyncDispose]: async () => {} };
  }
}

/** Reports whether a job that was taken does the work of another one, which came before. */
function isDoneBy(taken: Entry, other: Entry): boolean {
  return other.id <= taken.takenAfter && isSame(other.job, taken.job);
}

function isSame(one: ReplicationJob, other: ReplicationJob): boolean {
  return one.change === other.change && one.source === other.source && lockOf(one) === lockOf(other);
}

function lockOf({ virtualStorage, relativePath, target }: ReplicationJob): string {
  return [virtualStorage, target, relativePath].join('|');
}
