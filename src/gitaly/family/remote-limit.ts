import type { AcquireOptions, Callers, CallersLimit, Turn } from '#base/limits/limit';
import { abortedWait } from '#base/limits/limit-refusal';
import { BoundedMap } from '#base/memory/bounded-map';
import type { Link } from '#workers/link';
import { named, type Remote, remote } from '#workers/protocol';
import { LIMIT } from './share-limits.ts';

const NOBODY: Callers = { holders: 0, waiting: 0 };
/** Number of keys whose last callers are remembered, for the log. */
const MAX_KNOWN = 1000;

/** A limit that the supervisor applies to all processes. Each turn is one request to it. */
export class RemoteLimit implements CallersLimit {
  readonly maxConcurrency: number;
  readonly #turn: Remote<typeof LIMIT>['turn'];
  readonly #known = new BoundedMap<string, Callers>({ maxEntries: MAX_KNOWN });

  constructor(link: Link, name: string, maxConcurrency: number) {
    this.#turn = remote(link, named(LIMIT, name)).turn;
    this.maxConcurrency = maxConcurrency;
  }

  callers(key: string): Callers {
    return this.#known.get(key) ?? NOBODY;
  }

  /** The supervisor lists them. */
  entries(): Iterable<never> {
    return [];
  }

  /** There is none without a question. */
  take(): undefined {
    return undefined;
  }

  async acquire(key: string, { signal, onWait }: AcquireOptions): Promise<Turn> {
    try {
      const { release, value } = await this.#turn(key, { signal, onNote: onWait });
      const { holders, waitedMs, waiting } = value;
      this.#known.set(key, { holders, waiting });
      return { waitedMs, release };
    } catch (error) {
      throw signal?.aborted ? abortedWait(signal) : error;
    }
  }
}
