import { Chain } from '#generations/chain/chain';
import type { Environment, ProtocolTimes } from '#generations/environment';
import { pinPacks } from '#generations/forks';
import type { RepositoryKeys } from '#generations/keys';
import { OwnLease } from '#generations/leases/own-lease';
import { WatchedLeases } from '#generations/leases/watched-leases';
import { Maintenance } from '#generations/repository/maintenance';
import { OwnedRepository } from '#generations/repository/owned-repository';
import { Publisher } from '#generations/repository/publisher';
import { type DiskFate, LocalDisk, SimulatedLocal } from './local-disk.ts';
import type { Receiver, SimulatedBucket } from './simulated-bucket.ts';
import type { World } from './world.ts';

/** The classes that a run uses. A planted fault replaces one by a class that overrides a step. */
export interface Parts {
  readonly Chain: typeof Chain;
  readonly OwnLease: typeof OwnLease;
  readonly WatchedLeases: typeof WatchedLeases;
  readonly OwnedRepository: typeof OwnedRepository;
  readonly Publisher: typeof Publisher;
  readonly Maintenance: typeof Maintenance;
  readonly pinPacks: typeof pinPacks;
}

export const PARTS: Parts = {
  Chain,
  OwnLease,
  WatchedLeases,
  OwnedRepository,
  Publisher,
  Maintenance,
  pinPacks,
};

export const SIMULATED_TIMES: ProtocolTimes = {
  ttlMs: 3000,
  renewMs: 600,
  writeMs: 2500,
  retryMs: 100,
  graceMs: 8000,
  packUseMs: 4000,
  doomedMs: 60_000,
  repeatMs: 60_000,
};

export interface ServerOptions {
  readonly world: World;
  readonly bucket: SimulatedBucket;
  readonly keys: RepositoryKeys;
  readonly parts: Parts;
  readonly name: string;
  /** Speed of the clock; 1 is right. */
  readonly rate: number;
  /** Generations that are read at once. */
  readonly readAhead: number;
  readonly renews: boolean;
}

/** A process of a server: the real protocol on a simulated environment. */
export class Process implements Receiver {
  readonly name: string;
  readonly lease: OwnLease;
  readonly leases: WatchedLeases;
  readonly chain: Chain;
  readonly repository: OwnedRepository;
  readonly publisher: Publisher;
  readonly maintenance: Maintenance;
  isAlive = true;
  readonly #server: SimulatedServer;
  #nonces = 0;

  constructor(server: SimulatedServer, number: number) {
    this.#server = server;
    const { parts, bucket, world, keys, rate, name, readAhead } = server.options;
    this.name = `${name}#${number}`;
    const environment: Environment = {
      bucket: bucket.clientOf(this),
      clock: {
        nowMs: () => world.nowMs * rate + 1e6,
        wallMs: () => world.nowMs,
        sleep: (ms) => this.wait(ms / rate),
      },
      random: { nonce: () => `${this.name}.${++this.#nonces}` },
    };
    const times = SIMULATED_TIMES;
    this.lease = new parts.OwnLease({ ...environment, server: name, address: name, times });
    this.leases = new parts.WatchedLeases(environment);
    this.chain = new parts.Chain({ ...environment, keys, times, readAhead });
    const local = new SimulatedLocal(server.disk, () => this.wait(world.spread(1, 20)));
    const { lease, leases, chain } = this;
    this.repository = new parts.OwnedRepository({ chain, lease, leases, local });
    this.publisher = new parts.Publisher(this.repository);
    this.maintenance = new parts.Maintenance(this.repository, async (packs) => Buffer.concat(packs));
  }

  /** Waits, unless the process ends. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve) => this.#server.options.world.at(ms, () => this.deliver(resolve)));
  }

  deliver(work: () => void): void {
    if (!this.isAlive) return;
    const { world } = this.#server.options;
    const pausedMs = this.#server.pausedUntilMs - world.nowMs;
    if (this.#server.process === this && world.chance(this.#server.crashes)) this.#server.crash();
    else if (pausedMs <= 0) work();
    else world.at(pausedMs + world.random(), () => this.deliver(work));
  }
}

/** A machine with a server, which restarts after a crash. */
export class SimulatedServer {
  readonly options: ServerOptions;
  readonly disk: LocalDisk;
  process: Process | undefined;
  pausedUntilMs = 0;
  /** Probability that the process crashes at a point where it waits. */
  crashes = 0;
  #isEnded = false;
  #isIdle = false;
  #processes = 0;
  #starting: Process | undefined;

  constructor(options: ServerOptions) {
    this.options = options;
    this.disk = new LocalDisk(options.world, options.name);
  }

  /** Starts a process. Its lease is taken before it serves calls. */
  async start(): Promise<void> {
    if (this.#isEnded) return;
    const process = new Process(this, ++this.#processes);
    this.#starting = process;
    while (process.isAlive) {
      try {
        await process.lease.start();
        break;
      } catch {
        await process.wait(200);
      }
    }
    if (!process.isAlive) return;
    this.process = process;
    if (this.options.renews) void this.#renew(process);
  }

  crash(fate?: DiskFate): void {
    const { world, name } = this.options;
    if (this.process === undefined) return; // it starts already
    this.process.isAlive = false;
    this.process = undefined;
    const chosen = fate ?? world.pick<DiskFate>(['kept', 'kept', 'lost', 'torn', 'older']);
    this.disk.crash(chosen);
    world.note(() => `${name} crashes; its disk is ${chosen}`);
    world.at(world.spread(50, 6000), () => void this.start());
  }

  /**
   * Ends the renewals, once no operation follows that depends on a lease. They are most of the
   * requests of a run.
   */
  rest(): void {
    this.#isIdle = true;
  }

  /** Ends the server for ever. */
  end(): void {
    this.#isEnded = true;
    for (const process of [this.process, this.#starting]) if (process !== undefined) process.isAlive = false;
    this.process = undefined;
  }

  async #renew(process: Process): Promise<void> {
    while (process.lease.state === 'live') {
      await process.wait(SIMULATED_TIMES.renewMs);
      if (this.#isIdle) return;
      await process.lease.renew().catch(() => {}); // the next one may succeed
    }
    // Another process has the name, or the lease was released: the process ends.
    if (process.lease.state === 'released') await process.wait(500);
    if (process.isAlive) this.crash();
  }
}
