import { readFileSync } from 'node:fs';
import { type Connection, dial } from '#client/index';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

export const repository = { storageName: 'default', relativePath: 'a.git' };

/** A busy machine compiles the sources slowly. */
const START_LIMIT_MS = 120_000;

/** Starts a server with two workers besides the process that accepts connections. */
export async function startFamily(config = '', settings: object = {}): Promise<GitalyProcess> {
  const gitaly = await startGitalyProcess({
    everyListener: true,
    config: `[workers]\nmax = 3\n${config}`,
    env: { GITALY_TESTING_WORKERS: JSON.stringify({ start: 2, tickMs: 100, ...settings }) },
  });
  await ready(gitaly, 2);
  return gitaly;
}

/** Waits until as many workers have become ready since the start. */
export async function ready(gitaly: GitalyProcess, count: number): Promise<void> {
  await until(() => readyWorkers(gitaly).length >= count, gitaly.log, START_LIMIT_MS);
}

/** Returns the process ids of the workers that have become ready, in order. */
export function readyWorkers(gitaly: GitalyProcess): number[] {
  const lines = gitaly.log().matchAll(/msg="a worker process accepts connections".* worker_pid=(\d+)/g);
  return Array.from(lines, ([, pid]) => Number(pid));
}

/** Returns the numbers of the processes that have served a method. */
export function servedBy(gitaly: GitalyProcess, method: string): Set<string> {
  const lines = gitaly.log().matchAll(new RegExp(`grpc.method=${method} .*worker=(\\d)`, 'g'));
  return new Set(Array.from(lines, ([, worker = '']) => worker));
}

/** Reports whether a process runs; one that has ended and whose parent has not noticed does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Opens connections, which may reach different processes. */
export async function connections(address: string, count: number): Promise<Connection[]> {
  return await Promise.all(Array.from({ length: count }, () => dial(address)));
}

export async function metrics({ monitoring }: GitalyProcess): Promise<string> {
  return await (await fetch(`http://${monitoring}/metrics`)).text();
}

/** Returns the sum of the series of a metric whose labels contain all texts. */
export function sumOf(text: string, name: string, ...labels: readonly string[]): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}
