import { type Connection, dial } from '#client/index';
import { commitFiles } from './commit-files.ts';
import { type Measurement, median, takeTurns } from './lib/bench.ts';
import { runClients, type Window } from './lib/clients.ts';
import type { BenchCluster } from './lib/cluster-processes.ts';
import { makeCommits } from './lib/pushed-commits.ts';
import type { RepositoryName, StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';
import { pushBySsh } from './push.ts';

const CLIENTS = 16;
const PUSHERS = 8;
/** Pushes of one client in all windows; more than there is time for. */
const COMMITS = 1000;
const ALONE = 'ours alone';

/** A server that is called: one gitaly, or a praefect. */
export interface Target {
  readonly connection: Connection;
  readonly repositories: Readonly<Record<'commits' | 'files', StoredRepository>>;
  /** Processes whose CPU time is counted. */
  readonly pids: readonly number[];
  /** Number of runs so far, so that each one differs. */
  runs: number;
}

/** Calls of one kind. */
export interface Load {
  readonly name: string;
  readonly clients: readonly number[];
  /** Calls that a run makes. Default: 1. */
  readonly callsPerRun?: number;
  readonly run: (target: Target, client: number) => Promise<unknown>;
  /** Limit of the CPU time of a node for a voted call, divided by that of an unvoted one. */
  readonly atMostCpu?: number;
}

/** Measures calls per second of a cluster, and what a vote costs each node, against one gitaly. */
export async function* clusterCalls(workshop: Workshop, cluster: BenchCluster): AsyncGenerator<Measurement> {
  const server = await workshop.server();
  await using direct = await dial(`unix:${server.socket}`);
  await using proxied = await dial(`unix:${cluster.praefect.socket}`);
  const alone = await target(direct, [server.pid], (name, as) => workshop.repository(name, as));
  const voted = await target(
    proxied,
    cluster.nodes.map(({ pid }) => pid),
    (name, as) => cluster.repository(name, as),
  );
  const [rounds, windowMs, warmUpMs] = workshop.quick ? [1, 500, 500] : [4, 1500, 2000];
  let failed = 0;
  for (const load of await loads(workshop)) {
    for (const clients of load.clients) {
      const candidate = (of: Target, ms: number, everyMs?: number) => () =>
        runClients((client) => load.run(of, client).then(() => {}), {
          ...(load.callsPerRun !== undefined && { callsPerRun: load.callsPerRun }),
          ...(everyMs !== undefined && { everyMs }),
          clients,
          windowMs: ms,
          pids: of.pids,
        });
      await takeTurns(1, { alone: candidate(alone, warmUpMs), voted: candidate(voted, warmUpMs) });
      const samples = await takeTurns(rounds, {
        alone: candidate(alone, windowMs),
        voted: candidate(voted, windowMs),
      });
      failed += sum(Object.values(samples).flatMap((windows) => windows.map((window) => window.failed)));
      yield* figures(load, clients, samples);
      if (load.atMostCpu === undefined || clients !== 1) continue;
      yield cpuOfNode(load, samples);
      const everyMs = median(samples.voted.map(({ callsPerSecond }) => 1000 / callsPerSecond));
      const { slow } = await takeTurns(rounds, { slow: candidate(alone, windowMs, everyMs) });
      yield cpuOfNode(load, { ...samples, alone: slow }, ', next to unvoted ones at the same rate');
    }
  }
  yield { name: 'failed calls', value: failed, unit: 'calls', goal: { of: 'value', atMost: 0 } };
}

function* figures(
  load: Load,
  clients: number,
  { alone, voted }: Readonly<Record<'alone' | 'voted', readonly Window[]>>,
): Generator<Measurement> {
  const of = clients === 1 ? '1 client' : `${clients} clients`;
  const middle = (windows: readonly Window[], key: 'callsPerSecond' | 'p50Ms'): number =>
    median(windows.map((window) => window[key]));
  yield {
    name: `${load.name}, ${of}`,
    value: middle(voted, 'callsPerSecond'),
    unit: 'calls/s',
    reference: { name: ALONE, value: middle(alone, 'callsPerSecond') },
    note: `p50 ${middle(voted, 'p50Ms').toFixed(2)} ms, alone ${middle(alone, 'p50Ms').toFixed(2)} ms`,
  };
}

/**
 * Compares what a call costs each node. A server that waits between calls finds its code no longer
 * in the processor's caches, so those of one that does not wait are cheaper.
 */
function cpuOfNode(
  load: Load,
  { alone, voted }: Readonly<Record<'alone' | 'voted', readonly Window[]>>,
  how = '',
): Measurement {
  return {
    name: `CPU of a node: ${load.name}${how}`,
    value: median(voted.map(({ cpuMs }) => sum(cpuMs) / cpuMs.length)),
    unit: 'ms',
    reference: { name: 'unvoted', value: median(alone.map(({ cpuMs }) => sum(cpuMs))) },
    ...(load.atMostCpu !== undefined && { goal: { of: 'ratio', atMost: load.atMostCpu } }),
  };
}

/** Puts repositories on a server, with a branch for each client. */
export async function target(
  connection: Connection,
  pids: readonly number[],
  repository: (name: RepositoryName, as: string) => Promise<StoredRepository>,
): Promise<Target> {
  const repositories = {
    commits: await repository('small', 'calls.git'),
    files: await repository('5k-files', 'calls-of-files.git'),
  };
  const revision = Buffer.from('main');
  for (let client = 0; client < CLIENTS; client++) {
    const ref = Buffer.from(`refs/heads/client-${client}`);
    for (const { wire } of Object.values(repositories))
      await connection.repository.writeRef({ repository: wire, ref, revision });
  }
  return { connection, repositories, pids, runs: 0 };
}

/** Returns what the clients of a cluster do. */
export async function loads(workshop: Workshop): Promise<readonly Load[]> {
  const local = await workshop.repository('small', 'pusher.git');
  const values = (await git(local.path, ['rev-list', '--max-count=2', 'main'])).split('\n');
  const commits = await makeCommits(local.path, PUSHERS, COMMITS);
  const pushes = new Map<Target, number[]>();
  const main = Buffer.from('main');
  return [
    {
      name: 'FindCommit',
      clients: [1, CLIENTS],
      run: ({ connection, repositories }) =>
        connection.commit.findCommit({ repository: repositories.commits.wire, revision: main }),
    },
    {
      name: 'WriteRef',
      clients: [1, CLIENTS],
      atMostCpu: 2.5,
      run(of, client) {
        const revision = Buffer.from(values[of.runs++ % values.length] ?? '');
        const ref = Buffer.from(`refs/heads/client-${client}`);
        const repository = of.repositories.commits.wire;
        return of.connection.repository.writeRef({ repository, ref, revision });
      },
    },
    {
      name: 'WriteRef + DeleteRefs',
      clients: [1, CLIENTS],
      callsPerRun: 2,
      async run({ connection, repositories }, client) {
        const repository = repositories.commits.wire;
        const ref = Buffer.from(`refs/heads/short-${client}`);
        await connection.repository.writeRef({ repository, ref, revision: main });
        await connection.ref.deleteRefs({ repository, refs: [ref] });
      },
    },
    {
      name: 'UserCommitFiles',
      clients: [1, CLIENTS],
      atMostCpu: 1.6,
      run: (of, client) =>
        commitFiles(of.connection, of.repositories.files, [`files/7/new-${of.runs++}`], `client-${client}`),
    },
    {
      name: 'push by SSH',
      clients: [1, PUSHERS],
      atMostCpu: 1.5,
      run(of, client) {
        const next = pushes.get(of) ?? Array.from({ length: PUSHERS }, () => 0);
        pushes.set(of, next);
        const index = next[client] ?? 0;
        next[client] = index + 1;
        const refspec = `${commits[client]?.[index]}:refs/heads/pushed-${client}`;
        return pushBySsh(local.path, refspec, of.connection, of.repositories.commits);
      },
    },
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
