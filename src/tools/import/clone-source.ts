import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
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
  {
    temporaryDirectory,
    onBytes,
    signal,
  }: { temporaryDirectory: string; onBytes: (total: number) => void; signal: AbortSignal },
): Promise<ClonedSource> {
  await using building = new AsyncDisposableStack();
  const directory = await mkdtemp(join(temporaryDirectory, CLONE_PREFIX));
  building.defer(() => rm(directory, { recursive: true, force: true }));
  const gitDirectory = join(directory, 'repository.git');
  const { url, env } = separateCredentials(location);
  const clone = gitCommand('clone', {
    options: [flag('--mirror'), flag('--progress')],
    args: [url, gitDirectory],
  });
  await using process = spawnProgram(git.binary, {
    spawner: git.spawner,
    args: clone.words,
    env: { ...inherited(), ...env, LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0', GIT_SSH_COMMAND: sshCommand() },
    cwd: '/',
    stdout: 'ignore',
    stderr: 'pipe',
    signal,
  });
  let words = '';
  for await (const chunk of process.stderrStream) {
    const text = String(chunk);
    onBytes(receivedBytes(text) ?? 0);
    words = withoutProgress(words + text).slice(-MAX_WORDS_BYTES);
  }
  const exit = await process.exited;
  signal.throwIfAborted();
  if (exit.code !== 0) throw new Error(gitErrorText(words) || process.exitError(exit).message);
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

/** Returns an ssh command without prompts, which a progress bar would hide. */
function sshCommand(): string {
  return process.env.GIT_SSH_COMMAND ?? 'ssh -o BatchMode=yes';
}

function inherited(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries.filter(([name]) => name !== 'GIT_DIR' && name !== 'GIT_WORK_TREE'));
}
