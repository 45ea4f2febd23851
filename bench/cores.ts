import { readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { create, toBinary } from '@bufbuild/protobuf';
import { GetBlobsRequestSchema } from '#wire/gen/blob_pb';
import { ListRefsRequestSchema } from '#wire/gen/ref_pb';
import { InfoRefsRequestSchema } from '#wire/gen/smarthttp_pb';
import { BareClient } from './lib/bare-client.ts';
import { type Bench, median, quantile, takeTurns } from './lib/bench.ts';
import { cpuTime, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

/** The processes of a server, or of several. */
interface Family {
  readonly name: string;
  readonly pids: readonly number[];
  readonly clients: readonly BareClient[];
  /** Of the workers, from their start until they accept connections. */
  readonly startMs: readonly number[];
}

interface Request {
  readonly name: string;
  readonly path: string;
  readonly message: Uint8Array;
}

interface Sample {
  readonly callsPerSecond: number;
  readonly p99Ms: number;
  /** Calls of the slowest connection divided by those of the fastest. */
  readonly fairness: number;
  readonly serverUsPerCall: number;
  readonly loadUsPerCall: number;
}

const CONNECTIONS = 8;
const REFERENCES = 1000;
const BLOBS = 10;
const WORKER_LIMIT_MS = 60_000;
const READY = 'a worker process accepts connections';
const MAX_WORKER_MB = 60;
const MAX_START_MS = 1000;

/** Measures servers of 1, 2, 4, … processes, each on as many cores, with a load that costs little. */
export const bench: Bench = {
  name: 'cores',
  question: 'calls per second with further processes, on as many cores, against one process',
  async *run(workshop) {
    const requests = await requestsOn(await workshop.repository('small'));
    const families: Family[] = [];
    for (let processes = 1; processes <= Math.max(2, availableParallelism()); processes *= 2)
      families.push(await startFamily(workshop, processes));
    const [single, ...others] = families;
    if (single === undefined) return;
    yield* costsOf(others[0]);
    families.push(separate(await startFamily(workshop, 1, 2), await startFamily(workshop, 1, 2)));
    for (const request of requests) {
      const turns = Object.fromEntries(
        families.map((family) => [family.name, () => drive(family, request, workshop.quick ? 300 : 1500)]),
      );
      await takeTurns(1, turns); // warm-up
      const samples = await takeTurns(workshop.quick ? 1 : 5, turns);
      const middle = (name: string, key: keyof Sample): number =>
        median((samples[name] ?? []).map((sample) => sample[key]));
      for (const { name } of families)
        yield {
          name: `${request.name}, ${name}`,
          value: middle(name, 'callsPerSecond'),
          unit: 'calls/s',
          reference: { name: single.name, value: middle(single.name, 'callsPerSecond') },
          note:
            `p99 ${middle(name, 'p99Ms').toFixed(1)} ms, fairness ` +
            `${middle(name, 'fairness').toFixed(2)}, server ` +
            `${middle(name, 'serverUsPerCall').toFixed(0)} us/call, load ` +
            `${middle(name, 'loadUsPerCall').toFixed(0)} us/call`,
        };
    }
    for (const { clients } of families) for (const client of clients) client[Symbol.dispose]();
  },
};

function* costsOf(family: Family | undefined) {
  if (family === undefined) return;
  const workers = family.pids.slice(1).map(residentMb);
  yield {
    name: 'resident memory of a worker after its start',
    value: Math.max(...workers.map(({ now }) => now)),
    unit: 'MB',
    goal: { of: 'value', atMost: MAX_WORKER_MB },
  } as const;
  yield {
    name: 'of it pages that other processes do not share',
    value: Math.max(...workers.map(({ own }) => own)),
    unit: 'MB',
    goal: { of: 'value', atMost: MAX_WORKER_MB },
  } as const;
  yield {
    name: 'start of a worker until it accepts connections',
    value: median(family.startMs),
    unit: 'ms',
    goal: { of: 'value', atMost: MAX_START_MS },
  } as const;
}

async function requestsOn({ path, wire: repository }: StoredRepository): Promise<Request[]> {
  const tip = await git(path, ['rev-parse', 'main']);
  const names = Array.from({ length: REFERENCES }, (_, index) => `create refs/heads/core-${index} ${tip}\n`);
  await git(path, ['update-ref', '--stdin'], { input: names.join('') });
  await git(path, ['pack-refs', '--all']);
  const revisionPaths = Array.from({ length: BLOBS }, () => ({
    revision: 'main',
    path: Buffer.from('four-kilobytes'),
  }));
  return [
    {
      name: `ListRefs of ${REFERENCES}`,
      path: '/gitaly.RefService/ListRefs',
      message: toBinary(
        ListRefsRequestSchema,
        create(ListRefsRequestSchema, { repository, patterns: [Buffer.from('refs/heads/')] }),
      ),
    },
    {
      name: `GetBlobs of ${BLOBS}`,
      path: '/gitaly.BlobService/GetBlobs',
      message: toBinary(
        GetBlobsRequestSchema,
        create(GetBlobsRequestSchema, { repository, revisionPaths, limit: -1n }),
      ),
    },
    {
      name: `InfoRefsUploadPack v0 of ${REFERENCES}`,
      path: '/gitaly.SmartHTTPService/InfoRefsUploadPack',
      message: toBinary(InfoRefsRequestSchema, create(InfoRefsRequestSchema, { repository })),
    },
  ];
}

/** Starts a server and all its workers, with connections to each process. */
async function startFamily(workshop: Workshop, processes: number, cores = processes): Promise<Family> {
  const log = join(workshop.directory, 'gitaly.log');
  const logged = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
  const settings = JSON.stringify({ start: processes - 1, moveMs: 3_600_000, idleMs: 3_600_000 });
  const server = await workshop.server(`[workers]\nmax = ${processes}\n`, {
    env: {
      GITALY_TESTING_WORKERS: settings,
    },
  });
  const ready = (): readonly { readonly worker_pid: number; readonly duration_ms: number }[] =>
    readFileSync(log)
      .subarray(logged)
      .toString()
      .split('\n')
      .filter((line) => line.includes(READY))
      .map((line) => JSON.parse(line));
  for (const startedMs = performance.now(); ready().length < processes - 1; await delay(50))
    if (performance.now() - startedMs > WORKER_LIMIT_MS) throw new Error('the workers do not start');
  const pids = [server.pid, ...ready().map(({ worker_pid }) => worker_pid)];
  if (cores < availableParallelism())
    for (const pid of pids) await runProgram('taskset', ['-acp', `0-${cores - 1}`, `${pid}`]);
  const clients: BareClient[] = [];
  for (let index = 0; index < CONNECTIONS; index++) clients.push(new BareClient(server.socket));
  const name = processes === 1 ? '1 process' : `${processes} processes`;
  return { name, pids, clients, startMs: ready().map(({ duration_ms }) => duration_ms) };
}

/**
 * Returns two servers of one process as one family, with half of the connections each. They share
 * nothing but the machine, so no two processes of one server can answer more calls.
 */
function separate(one: Family, other: Family): Family {
  const [first, second] = [one, other].map(({ clients }) => {
    for (const client of clients.slice(CONNECTIONS / 2)) client[Symbol.dispose]();
    return clients.slice(0, CONNECTIONS / 2);
  });
  const pids = [...one.pids, ...other.pids];
  return { name: '2 servers', pids, clients: [...(first ?? []), ...(second ?? [])], startMs: [] };
}

/** Makes calls on all connections for some time. */
async function drive({ clients, pids }: Family, request: Request, windowMs: number): Promise<Sample> {
  const ownMs = (): number => pids.reduce((sum, pid) => sum + cpuTime(pid).ownMs, 0);
  const [serverBefore, loadBefore] = [ownMs(), process.cpuUsage()];
  const startedMs = performance.now();
  const times: number[] = [];
  const counts = await Promise.all(
    clients.map(async (client) => {
      let count = 0;
      for (; performance.now() - startedMs < windowMs; count++) {
        const callMs = performance.now();
        await client.call(request.path, [request.message]);
        times.push(performance.now() - callMs);
      }
      return count;
    }),
  );
  const seconds = (performance.now() - startedMs) / 1000;
  const load = process.cpuUsage(loadBefore);
  return {
    callsPerSecond: times.length / seconds,
    p99Ms: quantile(times, 0.99),
    fairness: Math.min(...counts) / Math.max(...counts),
    serverUsPerCall: ((ownMs() - serverBefore) * 1000) / times.length,
    loadUsPerCall: (load.user + load.system) / times.length,
  };
}
