import type { Bucket, CreateResult, ListedObject, StoredObject } from '#generations/environment';
import type { Truth } from './truth.ts';
import type { World } from './world.ts';

/** Probabilities and times of what a bucket may do. */
export interface BucketFaults {
  /** A request that is not executed: the service is busy, or the network is down. */
  readonly refused: number;
  /** A request that is executed, without a response. */
  readonly lostReply: number;
  /** A request without a response that is executed much later. */
  readonly late: number;
  /** The library repeats a request after a lost response. */
  readonly repeated: number;
  /** A create fails with 409 while another for the key is running. */
  readonly conflict: number;
  /** Slow requests, and how slow. */
  readonly slow: number;
  readonly slowMs: number;
  readonly lateMs: number;
  /** Servers whose requests of some kind take very long. */
  readonly slowest?: readonly SlowRequests[];
  /**
   * Servers whose requests of some kind have no response for a while; they are late, or not
   * executed.
   */
  readonly lost?: readonly LostRequests[];
}

export interface SlowRequests {
  readonly server: string;
  readonly requests: RegExp;
  readonly ms: number;
  /** Share of the requests that are slow. */
  readonly share?: number;
}

export interface LostRequests {
  readonly server: string;
  readonly requests: RegExp;
  readonly share: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Changes of the store by a planted fault. */
export interface StoreDefects {
  readonly ignoresConditions?: boolean;
}

const DOWN: BucketFaults = {
  refused: 0.5,
  lostReply: 0.2,
  late: 0.3,
  repeated: 0,
  conflict: 0,
  slow: 0,
  slowMs: 60,
  lateMs: 20_000,
};
const TIMEOUT_MS = 1000;

/** Receives responses: a process that has crashed receives none. */
export interface Receiver {
  readonly name: string;
  /** Runs work in the process, once it is not paused, unless it has ended. */
  deliver(work: () => void): void;
}

/** The bucket that all servers share, with requests that are delayed, lost, repeated or late. */
export class SimulatedBucket {
  readonly world: World;
  readonly truth: Truth;
  readonly objects = new Map<string, StoredObject>();
  faults: BucketFaults;
  /** No request gets a response; some are executed, now or later. */
  isDown = false;
  readonly #defects: StoreDefects;
  /** Creates under way, by key. */
  readonly #creating = new Map<string, number>();
  #versions = 0;

  constructor(world: World, truth: Truth, faults: BucketFaults, defects: StoreDefects = {}) {
    this.world = world;
    this.truth = truth;
    this.faults = faults;
    this.#defects = defects;
    truth.objects = this.objects;
  }

  /** The bucket as a process sees it. */
  clientOf(receiver: Receiver): Bucket {
    return {
      get: (key) => this.#send(receiver, `GET ${key}`, false, () => this.objects.get(key)),
      create: (key, content) => this.#create(receiver, key, content),
      replace: (key, content, version) =>
        this.#send(receiver, `REPLACE ${key}`, true, () => this.#replace(key, content, version)),
      delete: async (keys) => {
        // A page of deletions is not atomic.
        for (const key of keys) await this.#send(receiver, `DELETE ${key}`, true, () => this.#delete(key));
      },
      list: (prefix) => this.#list(receiver, prefix),
    };
  }

  async *#list(receiver: Receiver, prefix: string): AsyncGenerator<readonly ListedObject[]> {
    yield await this.#send(receiver, `LIST ${prefix}`, false, () =>
      [...this.objects]
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, { modifiedMs }]) => ({ key, modifiedMs })),
    );
  }

  #create(receiver: Receiver, key: string, content: Buffer): Promise<CreateResult> {
    this.#creating.set(key, (this.#creating.get(key) ?? 0) + 1);
    return this.#send(receiver, `PUT ${key}`, true, (isLast): CreateResult => {
      const rivals = this.#creating.get(key) ?? 1;
      if (isLast) this.#creating.set(key, rivals - 1);
      if (rivals > 1 && this.world.chance(this.faults.conflict)) return 'conflict';
      if (this.objects.has(key) && this.#defects.ignoresConditions !== true) return 'exists';
      this.#store(key, content);
      return 'created';
    });
  }

  #replace(key: string, content: Buffer, version: string): string | undefined {
    if (this.objects.get(key)?.version !== version) return undefined;
    return this.#store(key, content);
  }

  #store(key: string, content: Buffer): string {
    const version = String(++this.#versions);
    this.objects.set(key, { content, version, modifiedMs: this.world.nowMs });
    this.truth.stored(key, content);
    return version;
  }

  #delete(key: string): void {
    this.objects.delete(key);
    this.truth.deleted(key);
  }

  /** Sends a request. @param land executes it; its argument is false if it is executed again. */
  #send<T>(receiver: Receiver, name: string, isWrite: boolean, land: (isLast: boolean) => T): Promise<T> {
    const { world } = this;
    const isLost = this.faults.lost?.some(
      ({ server, requests, share, fromMs, untilMs }) =>
        world.nowMs >= fromMs &&
        world.nowMs < untilMs &&
        receiver.name.startsWith(server) &&
        requests.test(name) &&
        world.chance(share),
    );
    const faults = this.isDown || isLost === true ? { ...DOWN, lateMs: this.faults.lateMs } : this.faults;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const slowest = faults.slowest?.find(
      ({ server, requests }) => requests.test(name) && receiver.name.startsWith(server),
    );
    const delay = (): number => {
      if (slowest !== undefined && world.chance(slowest.share ?? 0.5)) return world.spread(50, slowest.ms);
      return world.chance(faults.slow) ? world.spread(50, faults.slowMs) : world.spread(2, 60);
    };
    const run = (isLast = true): T => {
      const result = land(isLast);
      world.note(() => `${receiver.name} ${name}: ${shown(result)}`);
      return result;
    };
    const give = (result: T): void => world.at(delay(), () => receiver.deliver(() => resolve(result)));
    const timeOut = (): void =>
      world.at(TIMEOUT_MS, () => receiver.deliver(() => reject(new Error('no response'))));
    const index = fateOf(world.random(), faults, isWrite);
    if (index === 0) world.at(delay(), () => receiver.deliver(() => reject(new Error('503'))));
    else if (index === 1 || index === 2) {
      world.at(index === 1 ? delay() : world.spread(500, faults.lateMs), () => void run());
      timeOut();
    } else if (index === 3) {
      world.at(delay(), () => void run(false));
      world.at(delay() + 100, () => give(run()));
    } else world.at(delay(), () => give(run()));
    return promise;
  }
}

/**
 * Chooses what happens to a request, by a random number: 0 is refused, 1 and 2 have no response, 3
 * is executed twice, and 4 succeeds. A read without a response is refused.
 */
function fateOf(random: number, { refused, lostReply, late, repeated }: BucketFaults, isWrite: boolean) {
  if (!isWrite) return random < refused + lostReply + late ? 0 : 4;
  if (random < refused) return 0;
  if (random < refused + lostReply) return 1;
  if (random < refused + lostReply + late) return 2;
  return random < refused + lostReply + late + repeated ? 3 : 4;
}

function shown(result: unknown): string {
  if (result === undefined) return 'nothing';
  return typeof result === 'string' ? result : '200';
}
