import { codeOf } from '#base/gitaly-error';
import type { CallersLimit } from '#base/limits/limit';
import { limitFields } from '#base/limits/limit-fields';
import { fullQueue, type LimitReason, LimitRefusal } from '#base/limits/limit-refusal';
import { limitedAddress } from './limited-address.ts';
import type { PackPlaces } from './total-limit.ts';

/** The call for which a pack is made. */
export interface PackRequester {
  /** Address of the user; empty if it is not known. */
  readonly remoteIp: string;
  /** False if the limit of callers without a user applies. */
  readonly isAuthenticated: boolean;
  readonly log: { add(fields: Readonly<Record<string, unknown>>): void };
}

/** A limit of packs for one client address. */
export interface CallerLimit {
  readonly limit: CallersLimit;
  /** Where the configuration has it, for the log of a refused call. */
  readonly configKey: string;
}

/** Notified of turns, for metrics. */
export interface PackLimitObserver {
  queued(change: 1 | -1): void;
  running(change: 1 | -1): void;
  acquired(seconds: number): void;
  dropped(reason: LimitReason): void;
}

export interface PackLimitsOptions {
  /** For callers with a user, and for all if there is no other. */
  readonly authenticated?: CallerLimit | undefined;
  readonly unauthenticated?: CallerLimit | undefined;
  /** Limit of all packs of this server; their owners are repositories. */
  readonly total?: PackPlaces | undefined;
  readonly observers: Readonly<Record<'authenticated' | 'unauthenticated' | 'total', PackLimitObserver>>;
}

/** Key of the limit of all packs in the configuration. */
export const TOTAL_KEY = 'pack_objects_limiting.max_total';

/** A pack that is to be made. */
export interface WantedPack {
  /** Path of its repository; repositories take turns. */
  readonly repository: string;
  /** Reports whether git waits for the reader of the pack. */
  readonly isHeldUp: () => boolean;
  readonly signal: AbortSignal;
}

/** A limit in use: that of a client address, or of all packs. */
export interface PackQueue {
  readonly configKey: string;
  /** Client address; `undefined` for the limit of all packs. */
  readonly caller: string | undefined;
  readonly running: number;
  readonly waiting: number;
}

/**
 * Limits how many packs are made at once: for one client address, and in all. A pack counts from
 * before its git process starts until the process has ended; {@link PackPlaces} may give its place
 * to another one before.
 */
export class PackLimits {
  readonly #options: PackLimitsOptions;
  /** Called when a fetch has to wait for the limit of all packs. */
  onContention: (() => void) | undefined;

  constructor(options: PackLimitsOptions) {
    this.#options = options;
  }

  /** True if a fetch waits for the limit of all packs. */
  get isContended(): boolean {
    return (this.#options.total?.waiting ?? 0) > 0;
  }

  /** Yields the limits that are in use. */
  *queues(): Generator<PackQueue> {
    const { authenticated, unauthenticated, total } = this.#options;
    if (total !== undefined && total.inUse > 0)
      yield { configKey: TOTAL_KEY, caller: undefined, running: total.inUse, waiting: total.waiting };
    for (const each of [authenticated, unauthenticated]) {
      if (each === undefined) continue;
      for (const { key, holders, waiting } of each.limit.entries())
        yield { configKey: each.configKey, caller: key, running: holders, waiting };
    }
  }

  /** Reports whether a pack for this call has to wait for its turn. */
  applyTo(requester: PackRequester): boolean {
    const { total } = this.#options;
    return total !== undefined || this.#callerLimit(requester) !== undefined;
  }

  /**
   * Waits for a turn. The result gives it back; only its first call counts.
   *
   * @throws {LimitRefusal}; the signal's reason.
   */
  async acquire(requester: PackRequester, pack: WantedPack): Promise<() => void> {
    const release = await this.#acquireOfCaller(requester, pack.signal);
    try {
      const releaseTotal = await this.#acquireTotal(requester, pack);
      return () => {
        releaseTotal();
        release();
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  #callerLimit({ remoteIp, isAuthenticated }: PackRequester) {
    const { authenticated, unauthenticated, observers } = this.#options;
    const key = limitedAddress(remoteIp);
    if (key === undefined) return undefined;
    if (!isAuthenticated && unauthenticated !== undefined)
      return { key, ...unauthenticated, observer: observers.unauthenticated };
    return authenticated && { key, ...authenticated, observer: observers.authenticated };
  }

  async #acquireOfCaller(requester: PackRequester, signal: AbortSignal): Promise<() => void> {
    const used = this.#callerLimit(requester);
    if (used === undefined) return () => {};
    const { configKey, key, limit, observer } = used;
    const logTurn = (waitedMs: number): void =>
      requester.log.add(limitFields(limit, { type: 'pack-objects', key, waitedMs }));
    let isQueued = false;
    const onWait = (): void => {
      isQueued = true;
      observer.queued(1);
    };
    try {
      const turn = await limit.acquire(key, { signal, onWait });
      observer.acquired(turn.waitedMs / 1000);
      logTurn(turn.waitedMs);
      return releasing(turn.release, observer);
    } catch (error) {
      if (!(error instanceof LimitRefusal)) throw error;
      observer.dropped(error.reason);
      requester.log.add({ 'limit.concurrency_dropped': error.reason, 'limit.config_key': configKey });
      logTurn(0);
      throw error;
    } finally {
      if (isQueued) observer.queued(-1);
    }
  }

  async #acquireTotal(
    requester: PackRequester,
    { repository, isHeldUp, signal }: WantedPack,
  ): Promise<() => void> {
    const { total, observers } = this.#options;
    if (total === undefined) return () => {};
    const observer = observers.total;
    const startedAt = performance.now();
    let isQueued = false;
    const onWait = (): void => {
      isQueued = true;
      observer.queued(1);
      this.onContention?.();
    };
    try {
      const release = await total.acquire({ repository, isHeldUp }, { signal, onWait }).finally(() => {
        if (isQueued) observer.queued(-1);
      });
      if (isQueued)
        requester.log.add({
          'limit.pack_objects_total_queue_ms': Math.floor(performance.now() - startedAt),
        });
      observer.acquired((performance.now() - startedAt) / 1000);
      return releasing(release, observer);
    } catch (error) {
      if (signal.aborted || codeOf(error) !== 'RESOURCE_EXHAUSTED') throw error;
      observer.dropped('max_size');
      requester.log.add({ 'limit.concurrency_dropped': 'max_size', 'limit.config_key': TOTAL_KEY });
      throw fullQueue(error);
    }
  }
}

function releasing(release: () => void, observer: PackLimitObserver): () => void {
  let isHeld = true;
  observer.running(1);
  return () => {
    if (!isHeld) return;
    isHeld = false;
    observer.running(-1);
    release();
  };
}
