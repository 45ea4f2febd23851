import { setTimeout as sleep } from 'node:timers/promises';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { quantile } from './bench.ts';
import { startFetching } from './large-work.ts';
import { treeMemoryMb, treeTime } from './process-tree.ts';
import { readHistory, realCalls } from './real-calls.ts';
import type { StoredRepository } from './repositories.ts';
import type { ServerProcess } from './server-process.ts';

/** The beginning of a process, in which its code is not compiled yet. */
const FIRST_MS = 2000;
const STEADY_MS = 8000;
const CLIENTS = [1, 16] as const;

/** A server that is started anew for each row. */
export interface FreshServer {
  readonly name: 'ours' | 'theirs';
  start(): Promise<ServerProcess>;
}

/** A window of one row. */
interface Window {
  readonly perSecond: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

interface Run {
  readonly first: Window;
  readonly steady: Window;
  readonly memoryMb: number;
  /** Part of the questions that started git; of our server only. */
  readonly gitShare: number | undefined;
}

/** Measures both servers in turns on one repository, and prints its table, the worst row first. */
export async function measureReal(
  title: string,
  repository: StoredRepository,
  servers: readonly FreshServer[],
  only: string,
): Promise<void> {
  const history = await readHistory(repository);
  const names = await withCalls(servers[0], repository, history, async (calls) =>
    calls.map(({ name }) => name).filter((name) => name.includes(only)),
  );
  const rows: { readonly worst: number; readonly text: string }[] = [];
  for (const name of names)
    for (const clients of CLIENTS) {
      const runs = new Map<string, Run>();
      for (const server of servers) runs.set(server.name, await measure(server, name, clients));
      const row = rowOf(`${name}, ${clients}`, runs);
      console.error(row.text);
      rows.push(row);
    }
  console.log(`\n### ${title}\n`);
  console.log(
    '| call, clients | calls/s: first 2 s | steady | CPU: steady | p99 ms, ours, theirs | MB, both | git |',
  );
  console.log(`|${' --- |'.repeat(7)}`);
  for (const { text } of rows.sort((a, b) => a.worst - b.worst)) console.log(text);

  async function measure(server: FreshServer, name: string, clients: number): Promise<Run> {
    return await withCalls(server, repository, history, async (calls, process) => {
      const call = calls.find((each) => each.name === name)?.call;
      if (call === undefined) throw new Error(`there is no call ${name}`);
      let index = 0;
      const drive = async (ms: number): Promise<Window> =>
        await window(process, { call: () => call(index++), clients, ms });
      const first = await drive(FIRST_MS);
      const steady = await drive(STEADY_MS);
      return { first, steady, memoryMb: treeMemoryMb(process.pid), gitShare: await gitShareOf(process) };
    });
  }
}

type Calls = ReturnType<typeof realCalls>;

/** Starts a server, and ends it after the work with its calls. */
async function withCalls<T>(
  server: FreshServer | undefined,
  repository: StoredRepository,
  history: Awaited<ReturnType<typeof readHistory>>,
  work: (calls: Calls, process: ServerProcess) => Promise<T>,
): Promise<T> {
  if (server === undefined) throw new Error('there is no server');
  const process = await server.start();
  const channel = connectGrpc(await process.connect());
  const fetching = await startFetching(`unix:${process.socket}`);
  try {
    return await work(realCalls(channel, fetching, repository, history), process);
  } finally {
    channel.destroy();
    await fetching[Symbol.asyncDispose]();
    await process.stop();
  }
}

/** Makes calls of several clients for a time. */
async function window(
  { pid }: ServerProcess,
  {
    call,
    clients,
    ms,
  }: { readonly call: () => Promise<unknown>; readonly clients: number; readonly ms: number },
): Promise<Window> {
  const [begun, cpuBefore] = [performance.now(), treeTime(pid)];
  const latencies: number[] = [];
  const client = async (): Promise<void> => {
    while (performance.now() < begun + ms) {
      const startedAt = performance.now();
      await call();
      latencies.push(performance.now() - startedAt);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const tookMs = performance.now() - begun;
  await sleep(20); // processes of the last calls end
  return {
    perSecond: (latencies.length * 1000) / tookMs,
    p99Ms: quantile(latencies, 0.99),
    cpuMs: (treeTime(pid) - cpuBefore) / latencies.length,
  };
}

const COUNTER = /^gitaly_ts_in_process_total\{name="(\w+)",path="(\w+)"\} (\d+)$/gm;
/** The next way tries what this one leaves to it, and counts it, too. */
const FIRST_WAY = 'reused_packs';

/** Returns the part of its answers for which our server started git. */
async function gitShareOf({ monitoring }: ServerProcess): Promise<number | undefined> {
  if (monitoring === undefined) return undefined;
  const text = await (await fetch(`${monitoring}/metrics`)).text();
  let [all, withGit] = [0, 0];
  for (const [, name, path, count] of text.matchAll(COUNTER)) {
    if (name === FIRST_WAY && path === 'git') continue;
    all += Number(count);
    if (path === 'git') withGit += Number(count);
  }
  return all === 0 ? undefined : withGit / all;
}

function rowOf(name: string, runs: ReadonlyMap<string, Run>): { worst: number; text: string } {
  const [ours, theirs] = [runs.get('ours'), runs.get('theirs')];
  if (ours === undefined || theirs === undefined) throw new Error('a server was not measured');
  const first = ours.first.perSecond / theirs.first.perSecond;
  const steady = ours.steady.perSecond / theirs.steady.perSecond;
  const cpu = theirs.steady.cpuMs / ours.steady.cpuMs;
  const pair = (read: (run: Run) => number): string =>
    [ours, theirs].map((run) => read(run).toFixed(0)).join(', ');
  const share = ours.gitShare === undefined ? '' : `${(100 * ours.gitShare).toFixed(0)} %`;
  const cells = [
    ...[name, first.toFixed(2), steady.toFixed(2), cpu.toFixed(2)],
    ...[pair(({ steady: { p99Ms } }) => p99Ms), pair(({ memoryMb }) => memoryMb), share],
  ];
  return { worst: Math.min(first, steady), text: `| ${cells.join(' | ')} |` };
}
