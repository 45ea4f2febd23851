import { writeChunk } from '#base/streams/copy-stream';
import type { ConfigPair } from '#git/command/config';
import type { GitCommand } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import type { GitProcess } from '#git/command/process/git-process';
import type { GitRepository } from '#git/repository';

export interface RecordedRun {
  readonly signal: AbortSignal;
  readonly worktree?: string;
  readonly env?: Readonly<Record<string, Uint8Array | string>>;
  readonly config?: readonly ConfigPair[];
  /** Standard input. If it fails, the process is ended. */
  readonly input?: AsyncIterable<Uint8Array>;
}

/** A repository whose references may change, or git itself for a command outside any repository. */
export type RecordedRunner = Pick<GitRepository, 'spawn' | 'spawnTurn'> | GitRepository;

/** The end of a command. */
export interface RecordedResult {
  /** `undefined` for a command that succeeded. */
  readonly failure: GitExitError | undefined;
  /** The beginning of its output, up to 1 MiB. */
  readonly stdout: string;
}

/**
 * Runs a command that may change references, without hooks. If it was ended early, its children
 * have ended too afterwards, so that its files can be removed.
 */
export async function runRecorded(
  runner: RecordedRunner,
  command: GitCommand,
  { signal, worktree, env, config, input }: RecordedRun,
): Promise<RecordedResult> {
  await runner.spawnTurn(signal);
  await using _recording = await recordingOf(runner);
  await using git = runner.spawn(command, {
    signal,
    worktree,
    hooks: 'disabled',
    stdin: input === undefined ? 'ignore' : 'pipe',
    ...(env && { env }),
    ...(config && { config }),
  });
  const feeding = input && settled(feed(git, input));
  const stdout = await headOf(git);
  const exit = await git.exited;
  await git.groupEnded();
  // After git has failed, the rest of the input is not awaited.
  const fed = await Promise.race([feeding, undefined]);
  if (fed?.status === 'rejected') throw fed.reason;
  return { failure: exit.code === 0 ? undefined : git.exitError(exit), stdout };
}

/** Begins to record the changes of a command that may change any reference. */
export async function recordingOf(runner: RecordedRunner): Promise<AsyncDisposable | undefined> {
  return 'changeRecorder' in runner ? await runner.changeRecorder?.begin(runner, undefined) : undefined;
}

async function settled(work: Promise<void>): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([work]);
  return result;
}

/**
 * Copies input to git until the input ends or git stops reading.
 *
 * @throws whatever reading the input throws; git is killed then.
 */
async function feed(git: GitProcess, input: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    for await (const piece of input) {
      // The exit code explains why git stopped reading.
      const isTaken = await Promise.resolve(writeChunk(git.stdin, piece)).then(
        () => true,
        () => false,
      );
      if (!isTaken) return;
    }
    git.stdin.end();
  } catch (error) {
    git.kill();
    throw error;
  }
}

/** Messages about ten thousand patches are shorter. */
const MAX_STDOUT_BYTES = 1024 * 1024;

async function headOf(git: GitProcess): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of git.stdout) {
      const piece = chunk.subarray(0, MAX_STDOUT_BYTES - bytes);
      bytes += piece.length;
      chunks.push(piece);
    }
  } catch (error) {
    // An abort closes the stream while it is read; the exit of the process explains it.
    if (!git.isEnding) throw error;
  }
  return Buffer.concat(chunks).toString();
}
