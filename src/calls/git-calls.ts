import { availableParallelism } from 'node:os';
import { Limit } from '#base/limits/limit';
import type { SpawnAdmission } from '#git/command/process/spawn-gate';
import { runningCall, runningCallState } from './running-call.ts';

export interface GitCallLimits {
  /** Number of calls that may run git processes concurrently. */
  readonly maxRunning: number;
  readonly maxRunningPerConnection: number;
  /** Number of calls that may wait for others to end. */
  readonly maxWaiting: number;
  readonly maxWaitingPerConnection: number;
  /** Longest wait; also the longest that calls which wait for each other can do so. */
  readonly maxWaitMs: number;
}

/**
 * A process takes some 4 MiB, and a core serves far fewer at a time than this. One connection, be
 * it of a Praefect with all its clients, leaves as much to others.
 */
const MAX_RUNNING = 128 * Math.max(4, availableParallelism());

export const DEFAULT_GIT_CALL_LIMITS: GitCallLimits = {
  maxRunning: MAX_RUNNING,
  maxRunningPerConnection: MAX_RUNNING / 2,
  maxWaiting: 5000,
  maxWaitingPerConnection: 2000,
  maxWaitMs: 30_000,
};

/**
 * Limits how many calls run git processes, in all and for each connection; further calls wait, and
 * connections take turns. A call counts from its first process to its end, however many processes
 * it starts. Not counted are background jobs, processes that calls share (cat-file), and calls of
 * hooks: the call that they belong to waits for them.
 */
export class GitCalls implements SpawnAdmission {
  readonly #limit: Limit<object>;

  /** @param share returns the part of the limits that this process may use. */
  constructor(limits: GitCallLimits = DEFAULT_GIT_CALL_LIMITS, share?: () => number) {
    this.#limit = new Limit({
      name: 'calls that run git',
      capacity: limits.maxRunning,
      capacityPerOwner: limits.maxRunningPerConnection,
      maxWaiting: limits.maxWaiting,
      maxWaitingPerOwner: limits.maxWaitingPerConnection,
      maxWaitMs: limits.maxWaitMs,
      share,
    });
  }

  /** Calls that run git processes, and calls that wait until they may. */
  get counts(): { readonly running: number; readonly waiting: number } {
    return { running: this.#limit.inUse, waiting: this.#limit.waiting };
  }

  owner(): object | undefined {
    return runningCall()?.peer;
  }

  async admit(): Promise<void> {
    const running = runningCallState();
    if (running === undefined || running.call.peer.transport === 'internal') return;
    const { peer, context } = running.call;
    // For the call as a whole: the signal of one process may end before another is started.
    running.gitSlot ??= this.#limit.acquire(peer, context);
    await running.gitSlot;
  }
}
