import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import {
  type GitalyProcess,
  type GitalyProcessOptions,
  startGitalyProcess,
} from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';

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
  return {
    first,
    directory,
    pid,
    async restart() {
      const old = pid();
      process.kill(old, 'SIGHUP');
      await until(
        () => pid() !== old,
        () => `no new process: ${first.log().slice(-2000)}`,
      );
    },
    async [Symbol.asyncDispose]() {
      if (existsSync(pidFile)) pid();
      for (const each of pids) if (each > 0) killed(each);
      await first[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function killed(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}
