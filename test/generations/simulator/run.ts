import { repositoryKeys } from '#generations/keys';
import { IdSource, type Operation, perform, type Result } from './operations.ts';
import { PARTS, type Parts, SIMULATED_TIMES, SimulatedServer } from './server.ts';
import { type BucketFaults, SimulatedBucket, type StoreDefects } from './simulated-bucket.ts';
import { Truth } from './truth.ts';
import { type Violation, World } from './world.ts';

/** A thread of a scenario: it runs its operations in turn, each after a random delay. */
export interface Thread {
  readonly server: number;
  readonly script: readonly Operation[];
  /** Threads that must have ended before this one starts. */
  readonly after?: readonly number[];
  /** Longest delay between two operations; default: of the conditions. */
  readonly thinkMs?: number;
}

/** The conditions of a run. */
export interface Conditions {
  readonly servers: number;
  readonly faults: BucketFaults;
  readonly crashes: number;
  readonly pauses: boolean;
  /** Times in which the bucket does not respond. */
  readonly outages: boolean;
  /** Largest deviation of a clock. */
  readonly drift: number;
  /** Servers that do not renew their leases, except by the operation `renew`. */
  readonly silent: readonly number[];
  readonly untilMs: number;
  /** Longest delay between two operations of a thread. */
  readonly thinkMs: number;
}

export interface Scenario {
  readonly name: string;
  readonly conditions: Conditions;
  /** Operations that prepare the repository, without faults. */
  readonly before: readonly Operation[];
  readonly threads: (world: World) => readonly Thread[];
}

/** A planted fault: classes with a changed step, or a defect of the store. */
export interface Plant {
  readonly parts?: Partial<Parts>;
  readonly defects?: StoreDefects;
}

export interface RunResult {
  readonly violation: Violation | undefined;
  readonly trace: readonly string[];
  readonly counts: Truth['counts'];
  readonly results: ReadonlyMap<Result, number>;
}

export const NO_FAULTS: BucketFaults = {
  refused: 0,
  lostReply: 0,
  late: 0,
  repeated: 0,
  conflict: 0,
  slow: 0,
  slowMs: 60,
  lateMs: 1000,
};

/** Time at the end of a run in which all leases expire. */
const END_MS = 20_000;
/** Simulated time in which a client waits for a response. */
const DOWN_MS = 30_000;

/** Runs a scenario with a seed. */
export async function run(
  scenario: Scenario,
  seed: number,
  { plant = {}, isTraced = false }: { readonly plant?: Plant; readonly isTraced?: boolean } = {},
): Promise<RunResult> {
  const world = new World(seed, { isTraced });
  const keys = repositoryKeys('r');
  const truth = new Truth(world, keys);
  const bucket = new SimulatedBucket(world, truth, NO_FAULTS, plant.defects);
  const { conditions } = scenario;
  const results = new Map<Result, number>();
  const parts = { ...PARTS, ...plant.parts };
  const servers = Array.from({ length: conditions.servers }, (_, index) => {
    const rate = 1 + conditions.drift * (2 * world.random() - 1);
    const readAhead = 1 + world.below(3);
    const renews = !conditions.silent.includes(index);
    return new SimulatedServer({ world, bucket, keys, parts, rate, readAhead, renews, name: `S${index}` });
  });
  const ids = new IdSource();
  const actorOf = (server: SimulatedServer, name: string) => ({ world, truth, server, name, ids });
  const drive = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.start()));
    const [first] = servers;
    if (first === undefined) return;
    for (const operation of scenario.before) await perform(operation, actorOf(first, 'before'));
    bucket.faults = conditions.faults;
    for (const server of servers) server.crashes = conditions.crashes;
    await runThreads();
  };
  const runThreads = async (): Promise<void> => {
    const ended: Promise<void>[] = [];
    for (const [index, { server, script, after = [], thinkMs = conditions.thinkMs }] of scenario
      .threads(world)
      .entries()) {
      const machine = servers[server];
      if (machine === undefined) throw new Error(`no server ${server}`);
      const work = async (): Promise<void> => {
        await Promise.all(after.map((other) => ended[other]));
        for (const operation of script) {
          await world.sleep(world.spread(1, thinkMs)); // of the simulated time
          // A process that crashes does not respond: the client goes on after a while.
          const result = await Promise.race([
            perform(operation, actorOf(machine, `T${index}`)),
            world.sleep(DOWN_MS).then((): Result => 'down'),
          ]);
          results.set(result, (results.get(result) ?? 0) + 1);
        }
      };
      ended.push(work());
    }
    await Promise.all(ended);
    for (const server of servers) server.rest();
  };
  let problem: unknown;
  void drive().catch((error) => {
    problem = error;
    world.fail(String(error));
  });
  const pause = (): void => {
    const server = world.pick(servers);
    server.pausedUntilMs = world.nowMs + world.spread(100, 15_000);
    world.at(world.spread(1000, 30_000), pause);
  };
  if (conditions.pauses) world.at(world.spread(500, 30_000), pause);
  let isEnding = false;
  const outage = (): void => {
    bucket.isDown = !isEnding;
    world.at(world.spread(500, 8000), () => {
      bucket.isDown = false;
    });
    world.at(world.spread(8000, 60_000), outage);
  };
  if (conditions.outages) world.at(world.spread(500, 60_000), outage);
  await world.run(conditions.untilMs);
  if (world.violation === undefined) await checkEnd();
  if (problem !== undefined) throw problem;
  return { violation: world.violation, trace: world.trace, counts: truth.counts, results };

  /** A new server takes over, without faults, and reads what is there. */
  async function checkEnd(): Promise<void> {
    bucket.faults = NO_FAULTS;
    bucket.isDown = false;
    isEnding = true;
    for (const server of servers) server.end();
    const server = new SimulatedServer({
      world,
      bucket,
      keys,
      parts: PARTS,
      rate: 1,
      readAhead: 4,
      renews: true,
      name: 'END',
    });
    let value: string | undefined;
    void (async () => {
      await server.start();
      for (;;) {
        const { process } = server;
        const state = await process?.repository.takeOver().then(
          () => process.repository.state,
          (error) => (/does not exist/.test(String(error)) ? null : undefined),
        );
        if (state === null) value = truth.value;
        else if (state !== undefined) value = server.disk.value;
        if (value !== undefined) return;
        await world.sleep(SIMULATED_TIMES.ttlMs);
      }
    })();
    const untilMs = world.nowMs + END_MS;
    while (value === undefined && world.nowMs < untilMs && world.violation === undefined)
      await world.run(world.nowMs + 200);
    if (world.violation === undefined) truth.checkEnd(value ?? 'nothing: the last server did not take over');
  }
}
