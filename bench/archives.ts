import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, dial } from '#client/index';
import { type HttpFaultProxy, startHttpFaultProxy } from '#testkit/faults/http-fault-proxy';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { type Bench, type Measurement, median, quantile, takeTurns, timed } from './lib/bench.ts';
import { treeTime } from './lib/process-tree.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git, runProgram } from './lib/run-program.ts';
import { type ServerProcess, startServer } from './lib/server-process.ts';
import type { Workshop } from './lib/workshop.ts';
import { pushBySsh, pushed } from './push.ts';

const PROGRAM = join(import.meta.dirname, '../bin/gitaly-ts');
/** Time of a request to a bucket in the same region. */
const REQUEST_MS = 20;
/** Longer than changes are joined and archived. */
const ARCHIVED_AFTER_MS = 3000;
/** Between two pushes. */
const APART_MS = 100;
/** Pushes after which most code is compiled. */
const WARM_UP_ROUNDS = 100;
/** For the cost of an idle server, which is subtracted. */
const IDLE_MS = 10_000;
/** A server has loaded everything then, and collected its garbage. */
const CALM_MS = 45_000;

/** Measures pushes to a storage with an archive, and a restore. */
export const bench: Bench = {
  name: 'archives',
  question:
    'a push of one commit to a storage that is archived in S3 with 20 ms for each request, compared with ' +
    'one that is not; a restore of this project (BENCH_REPO=PATH: of another one), compared with a clone',
  async *run(workshop) {
    await using s3 = await startS3Server();
    if (s3 === undefined) throw new Error('the S3 server of the tests cannot be built');
    await using bucket = await startHttpFaultProxy(s3.port, () => ({ delayMs: REQUEST_MS }));
    const url = new URL(await s3.createBucket());
    url.searchParams.set('endpoint', `http://127.0.0.1:${bucket.port}`);
    await using stack = new AsyncDisposableStack();
    const archived = await startSide(workshop, 'archived', stack, url.href);
    const alone = await startSide(workshop, 'alone', stack);
    await settled(bucket);
    yield* pushes(workshop, { archived, alone, bucket });
    yield* restored(workshop, archived, bucket);
  },
};

/** A server with its own storage. */
interface Side {
  readonly server: ServerProcess;
  readonly connection: Connection;
  readonly storage: string;
}

async function startSide(
  workshop: Workshop,
  name: string,
  stack: AsyncDisposableStack,
  archive?: string,
): Promise<Side> {
  const storage = join(workshop.directory, name);
  await runProgram('mkdir', [storage]);
  for (const [as, source] of [
    ['served.git', await workshop.repository('small', `${name}-served.git`)],
    ['real.git', await workshop.copyOf(process.env.BENCH_REPO || join(import.meta.dirname, '..'))],
  ] as const)
    await runProgram('mv', [source.path, join(storage, as)]);
  const server = await startServer(workshop.directory, storage, { archive });
  stack.defer(() => server.stop());
  const connection = stack.use(await dial(`unix:${server.socket}`));
  return { server, connection, storage };
}

async function* pushes(
  workshop: Workshop,
  { alone, archived, bucket }: { alone: Side; archived: Side; bucket: HttpFaultProxy },
): AsyncGenerator<Measurement> {
  const local = await workshop.repository('small', 'client.git');
  const served: StoredRepository = {
    path: '',
    wire: { storageName: 'default', relativePath: 'served.git', glRepository: 'project-1' },
  };
  const pushTo =
    ({ connection }: Side, branch: string) =>
    async (): Promise<number> => {
      await sleep(APART_MS);
      const push = () => pushBySsh(local.path, branch, connection, served);
      return (await pushed(local, branch, undefined, push)).wallMs;
    };
  const candidates = { archived: pushTo(archived, 'to-archived'), alone: pushTo(alone, 'to-alone') };
  await takeTurns(workshop.quick ? 10 : WARM_UP_ROUNDS, candidates);
  await settled(bucket);
  const sides = [archived, alone] as const;
  await sleep(workshop.quick ? 0 : CALM_MS);
  const idle = await usageOf(sides, () => sleep(IDLE_MS));
  const requests = bucket.requests.length;
  const rounds = workshop.quick ? 20 : 150;
  const samples = { archived: [] as number[], alone: [] as number[] };
  const busy = await usageOf(sides, async () => {
    Object.assign(samples, await takeTurns(rounds, candidates));
    await settled(bucket);
  });
  const [archivedMs, aloneMs] = busy.cpuMs.map(
    (ms, at) => (ms - ((idle.cpuMs[at] ?? 0) / idle.wallMs) * busy.wallMs) / rounds,
  );
  for (const [share, name] of [
    [0.5, 'median'],
    [0.99, 'p99'],
  ] as const)
    yield {
      name: `push to an archived storage, ${name}`,
      value: quantile(samples.archived, share),
      unit: 'ms',
      reference: { name: 'without an archive', value: quantile(samples.alone, share) },
      ...(share === 0.99 && { goal: { of: 'ratio', atMost: 1.02 } as const }),
    };
  yield {
    name: 'CPU of the server and its git for a push',
    value: archivedMs ?? Number.NaN,
    unit: 'ms',
    reference: { name: 'without an archive', value: aloneMs ?? Number.NaN },
    goal: { of: 'ratio', atMost: 1.1 },
    note: `${((bucket.requests.length - requests) / rounds).toFixed(2)} requests to the bucket for a push`,
  };
}

async function* restored(
  workshop: Workshop,
  { server, storage }: Side,
  bucket: HttpFaultProxy,
): AsyncGenerator<Measurement> {
  await settled(bucket);
  const address = `unix:${server.socket}`;
  const samples = await takeTurns(workshop.quick ? 1 : 3, {
    restore: (round) =>
      timed(() =>
        runProgram(PROGRAM, [
          ...['repo', 'restore', 'real.git', '--in', address, '--to', `restored-${round}.git`],
        ]),
      ),
    clone: (round) =>
      timed(() =>
        git(workshop.directory, [
          ...['clone', '--quiet', '--mirror', `file://${join(storage, 'real.git')}`, `cloned-${round}.git`],
        ]),
      ),
  });
  yield {
    name: 'restore of a real repository',
    value: median(samples.restore),
    unit: 'ms',
    reference: { name: 'git clone --mirror file://', value: median(samples.clone) },
    goal: { of: 'ratio', atMost: 1.5 },
  };
}

/** Returns the CPU time of servers and their git during an operation, and its duration. */
async function usageOf(
  sides: readonly Side[],
  run: () => Promise<unknown>,
): Promise<{ readonly cpuMs: readonly number[]; readonly wallMs: number }> {
  const read = (): number[] => sides.map(({ server }) => treeTime(server.pid));
  const before = read();
  const wallMs = await timed(run);
  return { cpuMs: read().map((ms, at) => ms - (before[at] ?? 0)), wallMs };
}

/** Waits until no request was sent for a time. */
async function settled({ requests }: HttpFaultProxy): Promise<void> {
  for (let count = -1; count !== requests.length; await sleep(ARCHIVED_AFTER_MS)) count = requests.length;
}
