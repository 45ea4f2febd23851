import { setTimeout as delay } from 'node:timers/promises';
import { type Connection, dial } from '#client/index';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { postedFetch } from './clone.ts';
import { commitFiles } from './commit-files.ts';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import type { BenchCluster } from './lib/cluster-processes.ts';
import { resetPeak, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import type { ServerProcess } from './lib/server-process.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';
import { pushBySsh, pushed } from './push.ts';
import { drive, findCommit } from './unary-calls.ts';

const CLIENTS = 16;
const NODES = 3;
/** Until the code of a vote is compiled, it takes five times as long as in a server that has run. */
const WARM_UP_WRITES = 100;
const MEBIBYTES = 1.048_576; // of a megabyte
/** An idle process has collected the garbage of its start: it checks every 2 s. */
const IDLE_AFTER_MS = 10_000;

/** Measures what a Praefect costs, compared with a Gitaly alone. */
export const bench: Bench = {
  name: 'cluster',
  question: 'reads, clones and voted writes through praefect, against a Gitaly alone',
  async *run(workshop) {
    const one = await workshop.cluster(1);
    await delay(IDLE_AFTER_MS);
    yield {
      name: 'praefect, idle, resident',
      value: residentMb(one.praefect.pid).now,
      unit: 'MB',
      goal: { of: 'value', atMost: 90 },
    };
    yield* reads(workshop, one);
    yield* clones(workshop, one);
    yield* writes(workshop, await workshop.cluster(NODES));
  },
};

/** The repository as the node knows it. */
function onNode(repository: StoredRepository): StoredRepository {
  return { ...repository, wire: { ...repository.wire, storageName: 'gitaly-1' } };
}

async function* reads(
  workshop: Workshop,
  { nodes: [node], praefect, repository }: BenchCluster,
): AsyncGenerator<Measurement> {
  if (node === undefined) return;
  const small = await repository('small', 'small.git');
  const bareProxy = await workshop.bareProxy(node);
  const [direct, bare, proxied] = await Promise.all(
    [node, bareProxy, praefect].map(async (server) => connectGrpc(await server.connect())),
  );
  if (direct === undefined || bare === undefined || proxied === undefined) return;
  const [rounds, windowMs] = workshop.quick ? [3, 300] : [9, 800];
  const driven = (server: ServerProcess, channel: typeof direct, wire: StoredRepository['wire']) => () =>
    drive(channel, { call: findCommit(wire), clients: CLIENTS, windowMs, pid: server.pid });
  const candidates = {
    direct: driven(node, direct, onNode(small).wire),
    bare: driven(bareProxy, bare, onNode(small).wire),
    proxied: driven(praefect, proxied, small.wire),
  };
  await takeTurns(1, candidates);
  const samples = await takeTurns(rounds, candidates);
  for (const channel of [direct, bare, proxied]) channel.destroy();
  const middle = (name: keyof typeof samples, key: 'p50Ms' | 'serverUsPerCall'): number =>
    median(samples[name].map((sample) => sample[key]));
  yield {
    name: `FindCommit through praefect, ${CLIENTS} clients, p50`,
    value: middle('proxied', 'p50Ms'),
    unit: 'ms',
    reference: { name: 'gitaly alone', value: middle('direct', 'p50Ms') },
    goal: { of: 'ratio', atMost: 1.5 },
  };
  yield {
    name: 'CPU of praefect per FindCommit',
    value: middle('proxied', 'serverUsPerCall'),
    unit: 'us',
    reference: { name: "gitaly's, alone", value: middle('direct', 'serverUsPerCall') },
    goal: { of: 'ratio', atMost: 1 },
  };
  yield {
    name: 'FindCommit through a bare proxy of node:http2, p50',
    value: middle('bare', 'p50Ms'),
    unit: 'ms',
    reference: { name: 'gitaly alone', value: middle('direct', 'p50Ms') },
    note: 'what is left for praefect: it also decodes, routes, counts and logs',
  };
  yield {
    name: 'CPU of that proxy per FindCommit',
    value: middle('bare', 'serverUsPerCall'),
    unit: 'us',
    reference: { name: "gitaly's, alone", value: middle('direct', 'serverUsPerCall') },
  };
}

async function* clones(
  { quick }: Workshop,
  { nodes: [node], praefect, repository }: BenchCluster,
): AsyncGenerator<Measurement> {
  if (node === undefined) return;
  const large = await repository('250mb', 'large.git');
  const direct = await postedFetch(onNode(large), node.socket);
  const proxied = await postedFetch(large, praefect.socket);
  resetPeak(praefect.pid); // that of the calls before
  const before = residentMb(praefect.pid).now;
  const samples = await takeTurns(quick ? 1 : 5, {
    direct: () => timed(() => direct.into(sink())),
    proxied: () => timed(() => proxied.into(sink())),
  });
  const bytes = await direct.close();
  await proxied.close();
  const { peak } = residentMb(praefect.pid);
  const speed = (ms: number): string => `${(bytes / 1000 / ms).toFixed(0)} MB/s`;
  const [value, alone] = [median(samples.proxied), median(samples.direct)];
  yield {
    name: 'clone of 250 MB through praefect, sidechannel',
    value,
    unit: 'ms',
    reference: { name: 'gitaly alone', value: alone },
    goal: { of: 'ratio', atMost: 1.25 },
    note: `${speed(value)}, alone ${speed(alone)}`,
  };
  yield {
    name: 'growth of praefect by these clones',
    value: (peak - before) / MEBIBYTES,
    unit: 'MiB',
    goal: { of: 'value', atMost: 16 },
  };
}

async function* writes(workshop: Workshop, cluster: BenchCluster): AsyncGenerator<Measurement> {
  const local = await workshop.repository('small', 'client.git');
  await workshop.repository('5k-files', 'alone.git');
  const alone = { path: '', wire: { storageName: 'default', relativePath: 'alone.git', glRepository: 'a' } };
  const voted = await cluster.repository('5k-files', 'voted.git');
  const pushedAlone = await workshop.repository('small', 'pushed-alone.git');
  const pushedVoted = await cluster.repository('small', 'pushed-voted.git');
  const server = await workshop.server();
  await using direct = await dial(`unix:${server.socket}`);
  await using proxied = await dial(`unix:${cluster.praefect.socket}`);

  let number = 0;
  const commits = (connection: Connection, repository: StoredRepository) => () =>
    timed(() => commitFiles(connection, repository, [`files/7/new-${number++}`]));
  const pushes = (connection: Connection, repository: StoredRepository, branch: string) => async () =>
    (await pushed(local, branch, undefined, () => pushBySsh(local.path, branch, connection, repository)))
      .wallMs;
  const candidates = {
    commitAlone: commits(direct, alone),
    commitVoted: commits(proxied, voted),
    pushAlone: pushes(direct, pushedAlone, 'alone'),
    pushVoted: pushes(proxied, pushedVoted, 'voted'),
  };
  await takeTurns(workshop.quick ? 3 : WARM_UP_WRITES, candidates);
  const samples = await takeTurns(workshop.quick ? 8 : 40, candidates);
  for (const [name, value, reference] of [
    ['UserCommitFiles, one file', samples.commitVoted, samples.commitAlone],
    ['push of one commit', samples.pushVoted, samples.pushAlone],
  ] as const) {
    yield {
      name: `${name}, voted by ${NODES} nodes`,
      value: median(value),
      unit: 'ms',
      reference: { name: 'gitaly alone', value: median(reference) },
      goal: { of: 'ratio', atMost: 1.5 },
    };
  }
}
