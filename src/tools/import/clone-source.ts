import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { flag, gitCommand } from '#git/command/git-command';
import { spawnProgram } from '#git/command/spawn-program';
import type { Git } from '#git/git';
import { lastWords } from './git-words.ts';
import { withoutCredentials } from './url.ts';

/** A copy that is removed when this is disposed of. */
export interface ClonedSource extends AsyncDisposable {
  readonly gitDirectory: string;
}

export const TEMPORARY_PREFIX = 'gitaly-import-';
/** Of git's messages; progress overwrites itself and is not kept. */
const MAX_WORDS_BYTES = 10_000;

/**
 * Fetches a whole repository into a temporary directory, as the user: with their git configuration, keys and proxies, and without
 * questions at the terminal.
 *
 * @param onBytes gets the number of bytes received so far, as far as git tells.
 * @throws {Error} git's words, without passwords.
 */
export async function cloneSource(
  git: Git,
  location: string,
  { temporaryDirectory, onBytes, signal }: { temporaryDirectory: string; onBytes: (total: number) => void; signal: AbortSignal },
): Promise<ClonedSource> {
  await using building = new AsyncDisposableStack();
  const directory = await mkdtemp(join(temporaryDirectory, TEMPORARY_PREFIX));
  building.defer(() => rm(directory, { recursive: true, force: true }));
  const gitDirectory = join(directory, 'repository.git');
  const { url, env } = withoutCredentials(location);
  const clone = gitCommand('clone', { options: [flag('--mirror'), flag('--progress')], args: [url, gitDirectory] });
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
    words = (words + text).replace(/[^\n]*\r/g, '').slice(-MAX_WORDS_BYTES);
  }
  const exit = await process.exited;
  signal.throwIfAborted();
  if (exit.code !== 0) throw new Error(lastWords(words) || process.exitError(exit).message);
  const kept = building.move();
  return { gitDirectory, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** `Receiving objects:  45% (450/1000), 12.30 MiB | 4.50 MiB/s` */
function receivedBytes(progress: string): number | undefined {
  const units = { bytes: 1, KiB: 1 << 10, MiB: 1 << 20, GiB: 1 << 30 };
  const found = [...progress.matchAll(/Receiving objects: .*?, ([\d.]+) (bytes|KiB|MiB|GiB)/g)].at(-1);
  const unit = Object.entries(units).find(([name]) => name === found?.[2])?.[1];
  return unit === undefined ? undefined : Math.round(Number(found?.[1]) * unit);
}

/** No question may wait for an answer behind a progress bar. */
function sshCommand(): string {
  return process.env.GIT_SSH_COMMAND ?? 'ssh -o BatchMode=yes';
}

function inherited(): Record<string, string> {
  const entries = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(entries.filter(([name]) => name !== 'GIT_DIR' && name !== 'GIT_WORK_TREE'));
}
