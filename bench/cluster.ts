import { setTimeout as delay } from 'node:timers/promises';
import { dial } from '#client/index';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { postedFetch } from './clone.ts';
import { clusterCalls } from './cluster-calls.ts';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import type { BenchCluster } from './lib/cluster-processes.ts';
import { resetPeak, residentMb } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import type { ServerProcess } from './lib/server-process.ts';
import { sink } from './lib/sink.ts';
import type { Workshop } from './lib/workshop.ts';
import { drive, findCommit, type Sample } from './unary-calls.ts';

const CLIENTS = 16;
const NODES = 3;
/** Notifications of a write arrive after it. */
const SETTLED_AFTER_MS = 300;
const MEBIBYTES = 1.048_576; // of a megabyte
/** An idle process has collected the garbage of its start: it checks every 2 s. */
const IDLE_AFTER_MS = 10_000;

/** Measures what a Praefect costs, compared with a Gitaly alone. */
export const bench: Bench = {
  name: 'cluster',
  question: 'calls per second of a cluster of three, and what votes and praefect cost, against one gitaly',
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
    const cluster = await workshop.cluster(NODES);
    yield* clusterCalls(workshop, cluster);
    yield* statements(cluster);
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
  const channels = { direct, bare, proxied };
  for (const clients of [1, CLIENTS]) {
    const [rounds, windowMs] = workshop.quick ? [3, 300] : [9, 800];
    const driven = (server: ServerProcess, channel: typeof direct, wire: StoredRepository['wire']) => () =>
      drive(channel, { call: findCommit(wire), clients, windowMs, pid: server.pid });
    const candidates = {
      direct: driven(node, direct, onNode(small).wire),
      bare: driven(bareProxy, bare, onNode(small).wire),
      proxied: driven(praefect, proxied, small.wire),
    };
    await takeTurns(3, candidates);
    yield* readFigures(clients, await takeTurns(rounds, candidates));
  }
  for (const channel of Object.values(channels)) channel.destroy();
}

function* readFigures(
  clients: number,
  samples: Readonly<Record<'bare' | 'direct' | 'proxied', readonly Sample[]>>,
): Generator<Measurement> {
  const middle = (name: keyof typeof samples, key: 'p50Ms' | 'serverUsPerCall'): number =>
    median(samples[name].map((sample) => sample[key]));
  const of = clients === 1 ? '1 client' : `${clients} clients`;
  const [alone, proxy] = ['gitaly alone', 'a bare proxy of node:http2'];
  const rows = [
    ['p50Ms', `FindCommit through praefect, ${of}, p50`, 'ms', 1.1],
    ['serverUsPerCall', `CPU of praefect per FindCommit, ${of}`, 'us', 1.3],
  ] as const;
  for (const [key, name, unit, atMost] of rows) {
    const value = middle('proxied', key);
    const goal = { of: 'ratio', atMost } as const;
    yield { name, value, unit, reference: { name: proxy, value: middle('bare', key) }, goal };
    yield {
      name: `${name}, next to gitaly`,
      value,
      unit,
      reference: { name: alone, value: middle('direct', key) },
    };
  }
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

const COUNTED_WRITES = 20;
const COUNTED_READS = 50;
/** The least of several counts: praefect's own statements may come in between. */
const COUNTED_BATCHES = 3;

/** Counts the statements of calls, at a second praefect whose database is behind a proxy. */
async function* statements(cluster: BenchCluster): AsyncGenerator<Measurement> {
  const { wire: repository } = await cluster.repository('small', 'counted.git');
  const { counter, praefect } = await cluster.countedPraefect();
  await using connection = await dial(`unix:${praefect.socket}`);
  const revision = Buffer.from('main');
  const ref = Buffer.from('refs/heads/counted');
  const read = () => connection.commit.findCommit({ repository, revision });
  const write = () => connection.repository.writeRef({ repository, ref, revision });
  const counted = async (times: number, call: () => Promise<unknown>): Promise<number> => {
    await call();
    await delay(SETTLED_AFTER_MS);
    const counts: number[] = [];
    for (let batch = 0; batch < COUNTED_BATCHES; batch++) {
      const before = counter.count;
      for (let round = 0; round < times; round++) await call();
      counts.push((counter.count - before) / times);
    }
    return Math.min(...counts);
  };
  yield {
    name: 'PostgreSQL statements of a voted WriteRef',
    value: await counted(COUNTED_WRITES, write),
    unit: 'statements',
    goal: { of: 'value', atMost: 2 },
  };
  yield {
    name: 'PostgreSQL statements of a cached FindCommit',
    value: await counted(COUNTED_READS, read),
    unit: 'statements',
    goal: { of: 'value', atMost: 0 },
  };
}
