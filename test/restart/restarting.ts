import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  type GitalyProcess,
  type GitalyProcessOptions,
  startGitalyProcess,
} from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

/** Longer than a server waits for its successor. */
const LIMIT_MS = 75_000;
const REFUSAL = /msg="Upgrade failed" error="([^"]*)"/;
/** Lines of the log in an error. */
const LINES_SHOWN = 20;

/** A server that restarts on SIGHUP. */
export interface RestartingGitaly extends AsyncDisposable {
  /** The first process; its log is that of all. */
  readonly first: GitalyProcess;
  readonly directory: string;
  /** The process that serves now, from the PID file. */
  pid(): number;
  /** Sends SIGHUP to that process and waits until another one serves. */
  restart(): Promise<void>;
}

/** Starts a server as `gitaly-wrapper` does: with a PID file and restarts enabled. */
export async function startRestarting(options: GitalyProcessOptions = {}): Promise<RestartingGitaly> {
  const directory = makeScratchDirectory('restart');
  mkdirSync(directory, { recursive: true });
  const pidFile = join(directory, 'gitaly.pid');
  const first = await startGitalyProcess({
    ...options,
    directory,
    env: { ...options.env, GITALY_UPGRADES_ENABLED: 'true', GITALY_PID_FILE: pidFile },
  });
  await until(() => existsSync(pidFile), 'there is no PID file');
  const pids = new Set<number>();
  const pid = (): number => {
    const now = Number(readFileSync(pidFile, 'utf8'));
    pids.add(now);
    return now;
  };
  const what = (): string => `no new process: ${ownLines(first.log())}`;
  return {
    first,
    directory,
    pid,
    async restart() {
      const old = pid();
      for (const limitMs = performance.now() + LIMIT_MS; pid() === old; ) {
        const before = first.log().length;
        process.kill(old, 'SIGHUP');
        const refusal = (): string | undefined => REFUSAL.exec(first.log().slice(before))?.[1];
        await until(() => pid() !== old || refusal() !== undefined, what, limitMs - performance.now());
        // On a busy machine a process holds its sockets for a while after it has become a zombie.
        if (![undefined, "parent hasn't exited"].includes(refusal())) throw new Error(what());
      }
    },
    async [Symbol.asyncDispose]() {
      if (existsSync(pidFile)) pid();
      for (const each of pids) if (each > 0) killed(each);
      await first[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Returns the last lines that are not about a call. */
function ownLines(log: string): string {
  const lines = log.split('\n').filter((line) => !line.includes('msg="finished '));
  return lines.slice(-LINES_SHOWN).join('\n');
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}
