import { connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import { listsOf, mergeDiffsOf, type Reading, subjectsOf, unaryCallsOf } from './lib/readings.ts';

const CLIENTS = 16;
const NOTHING = 'ServerSignature';

/**
 * Measures every kind of read on one repository of any size and shape: `BENCH_REPO=PATH` selects a
 * real one, the default is the generated one with 50,000 commits. Other benches measure
 * repositories that are generated for one question.
 */
export const bench: Bench = {
  name: 'reads',
  question:
    'all kinds of reads of one repository (BENCH_REPO=PATH: of that one), against a call that does ' +
    'nothing and against git',
  async *run(workshop) {
    const given = process.env.BENCH_REPO;
    const repository = await (given === undefined
      ? workshop.repository('50k-commits')
      : workshop.copyOf(given));
    const subjects = await subjectsOf(repository);
    const server = await workshop.server();
    const channel = connectGrpc(await server.connect());

    yield* againstNothing(channel, unaryCallsOf(subjects), workshop.quick ? 300 : 1000);
    const rounds = workshop.quick ? 5 : 25;
    for (const reading of listsOf(subjects))
      yield await againstGit(channel, reading, { rounds, atMost: 1.3 });
    for (const reading of mergeDiffsOf(subjects))
      yield await againstGit(channel, reading, { rounds, atMost: 1.15 });
    channel.destroy();
  },
};

async function* againstNothing(
  channel: GrpcChannel,
  calls: Readonly<Record<string, (channel: GrpcChannel) => Promise<void>>>,
  windowMs: number,
): AsyncGenerator<Measurement> {
  for (const call of Object.values(calls)) await callsPerSecond(channel, call, windowMs / 2);
  const candidates = Object.fromEntries(
    Object.entries(calls).map(([name, call]) => [name, () => callsPerSecond(channel, call, windowMs)]),
  );
  const samples = await takeTurns(5, candidates);
  const nothing = median(samples[NOTHING] ?? []);
  for (const name of Object.keys(calls)) {
    const value = median(samples[name] ?? []);
    // As time per call, because a goal is an upper limit: 60 % of the calls are 1 / 0.6 of the
    // time.
    yield {
      name: `${name}, ${CLIENTS} clients`,
      value: 1e6 / value,
      unit: 'us/call',
      reference: { name: NOTHING, value: 1e6 / nothing },
      goal: { of: 'ratio', atMost: 1 / 0.6 },
      note: `${value.toFixed(0)} calls/s, ${((100 * value) / nothing).toFixed(0)} % of ${NOTHING}`,
    };
  }
}

async function callsPerSecond(
  channel: GrpcChannel,
  call: (channel: GrpcChannel) => Promise<void>,
  windowMs: number,
): Promise<number> {
  const start = performance.now();
  let count = 0;
  const client = async (): Promise<void> => {
    for (; performance.now() < start + windowMs; count++) await call(channel);
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
  return (count * 1000) / (performance.now() - start);
}

async function againstGit(
  channel: GrpcChannel,
  { name, call, reference }: Reading,
  { rounds, atMost }: { rounds: number; atMost: number },
): Promise<Measurement> {
  for (let warm = 0; warm < 3; warm++) await call(channel);
  const samples = await takeTurns(rounds, {
    rpc: () => timed(() => call(channel)),
    git: () => timed(reference.run),
  });
  return {
    name,
    value: median(samples.rpc),
    unit: 'ms',
    reference: { name: reference.name, value: median(samples.git) },
    goal: { of: 'ratio', atMost },
  };
}
