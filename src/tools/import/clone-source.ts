import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { withoutOuterRepository } from '#git/command/outer-repository';
import { spawnProgram } from '#git/command/spawn-program';
import { gitErrorText } from './git-error-text.ts';
import { separateCredentials } from './url.ts';

/** A copy that is removed when this is disposed. */
export interface ClonedSource extends AsyncDisposable {
  readonly gitDirectory: string;
}

export const CLONE_PREFIX = 'gitaly-import-';
/** Limit of git's messages; progress lines overwrite each other and are not kept. */
const MAX_WORDS_BYTES = 10_000;

/** An ssh without prompts, which a progress bar would hide. */
const SSH_COMMAND = 'ssh -o BatchMode=yes';

export interface CloneOptions {
  readonly temporaryDirectory: string;
  /** Default: that of this process. */
  readonly environment?: Readonly<NodeJS.ProcessEnv>;
  readonly onBytes: (total: number) => void;
  readonly signal: AbortSignal;
}

/**
 * Fetches a whole repository into a temporary directory, with the user's git configuration, keys
 * and proxies, and without prompts at the terminal.
 *
 * @param onBytes receives the number of bytes so far, as far as git reports it.
 * @throws {Error} git's message, without passwords.
 */
export async function cloneSource(
  git: Git,
  location: string,
  { environment = process.env, onBytes, signal, temporaryDirectory }: CloneOptions,
): Promise<ClonedSource> {
  await using building = new AsyncDisposableStack();
  const directory = await mkdtemp(join(temporaryDirectory, CLONE_PREFIX));
  building.defer(() => rm(directory, { recursive: true, force: true }));
  const gitDirectory = join(directory, 'repository.git');
  const inherited = withoutOuterRepository(environment);
  const { url, env } = separateCredentials(location, inherited);
  const clone = gitCommand('clone', {
    options: [flag('--mirror'), flag('--progress')],
    args: [url, gitDirectory],
  });
  await using running = spawnProgram(git.binary, {
    spawner: git.spawner,
    args: clone.words,
    env: {
      ...inherited,
      ...env,
      LC_ALL: 'C',
      GIT_TERMINAL_PROMPT: '0',
      GIT_SSH_COMMAND: environment.GIT_SSH_COMMAND ?? SSH_COMMAND,
    },
    cwd: '/',
    stdout: 'ignore',
    stderr: 'pipe',
    signal,
  });
  let words = '';
  for await (const chunk of running.stderrStream) {
    const text = String(chunk);
    onBytes(receivedBytes(text) ?? 0);
    words = withoutProgress(words + text).slice(-MAX_WORDS_BYTES);
  }
  const exit = await running.exited;
  signal.throwIfAborted();
  if (exit.code !== 0) throw new Error(gitErrorText(words) || running.exitError(exit).message);
  const kept = building.move();
  return { gitDirectory, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/**
 * Returns lines as a terminal would show them, without text that is overwritten after a carriage
 * return.
 */
function withoutProgress(text: string): string {
  return text
    .split('\n')
    .map((line) => line.slice(line.lastIndexOf('\r') + 1))
    .join('\n');
}

/** Parses `Receiving objects: 45% (450/1000), 12.30 MiB | 4.50 MiB/s`. */
function receivedBytes(progress: string): number | undefined {
  const units = { bytes: 1, KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30 };
  const line = progress.split(/[\r\n]/).findLast((each) => each.startsWith('Receiving objects: '));
  const found = /, ([\d.]+) (bytes|KiB|MiB|GiB)/.exec(line ?? '');
  const unit = Object.entries(units).find(([name]) => name === found?.[2])?.[1];
  return unit === undefined ? undefined : Math.round(Number(found?.[1]) * unit);
}
