import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { programCommand } from '../programs/program-command.ts';
import { until } from '../until.ts';

const ROOT = join(import.meta.dirname, '../../..');
/** Environment with a compile cache, which halves the time of a start; not under version control. */
export const CACHED = { ...process.env, NODE_COMPILE_CACHE: join(ROOT, '.cache/compiled') };

/** Limit for the start of five programs, on a busy machine. */
const START_MS = 90_000;

/** Output of `gitaly-ts up --cluster --json` when it is ready. */
export interface UpClusterOutput {
  readonly http: string;
  readonly ssh: string;
  readonly grpc: readonly string[];
  readonly token?: string;
  readonly directory: string;
  readonly pid: number;
  readonly cluster: {
    readonly config: string;
    readonly praefect: number;
    readonly postgres: number;
    readonly nodes: readonly { readonly name: string; readonly path: string; readonly pid: number }[];
  };
}

/** A running `gitaly-ts up --cluster`. */
export interface UpCluster extends AsyncDisposable {
  readonly report: UpClusterOutput;
  /** Its standard error so far. */
  notes(): string;
  /** Sends a signal, and resolves to the exit code. */
  stop(signal: NodeJS.Signals): Promise<number | null>;
}

/**
 * Starts a cluster with an HTTP gateway on any port, and waits until it reports that it is up.
 *
 * @param directory one that every user may enter: for root, PostgreSQL runs as another user.
 */
export async function startUpCluster(directory: string, ...args: string[]): Promise<UpCluster> {
  const child = spawn(
    process.execPath,
    [...programCommand('gitaly-ts'), 'up', directory, '--json', '--http', '127.0.0.1:0', ...args],
    { cwd: ROOT, env: CACHED, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'exit');
  let line = '';
  let notes = '';
  child.stdout.on('data', (chunk) => {
    line += chunk;
  });
  child.stderr.on('data', (chunk) => {
    notes += chunk;
  });
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    return (await exited)[0];
  };
  await until(
    () => line.includes('\n') || child.exitCode !== null,
    () => `a report: ${notes}`,
    START_MS,
  );
  if (child.exitCode !== null) throw new Error(notes);
  return {
    report: JSON.parse(line),
    notes: () => notes,
    stop,
    [Symbol.asyncDispose]: async () => void (await stop('SIGTERM')),
  };
}
