import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { findProgram } from '#git/command/find-program';
import { chooseSpawner } from '#git/command/spawner/choose-spawner';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | AsyncIterable<Uint8Array | string>;
  /** Drops the output, as a `BareClient` drops that of a server. */
  readonly dropsOutput?: boolean;
}

/** Environment of every git: no settings of the machine, no prompts. */
export const GIT_ENVIRONMENT = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'Bench',
  GIT_AUTHOR_EMAIL: 'bench@example.com',
  GIT_COMMITTER_NAME: 'Bench',
  GIT_COMMITTER_EMAIL: 'bench@example.com',
  LC_ALL: 'C',
};

/**
 * Runs a program to its end. It is started with `posix_spawn`, like the git processes of the
 * server; `child_process` takes a millisecond longer, which a small git takes as a whole.
 *
 * @throws {Error} with its standard error when it fails.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Buffer> {
  const spawner = await chooseSpawner();
  const child = spawner.spawn({
    file: findProgram(program),
    argv: [program, ...args],
    env: { ...environment(), ...GIT_ENVIRONMENT, ...options.env },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
    extraPipes: 0,
  });
  const { stderr: errors, stdin, stdout: output } = child;
  if (stdin === undefined || output === undefined || errors === undefined) throw new Error('no pipes');
  stdin.on('error', () => {});
  const stderr: Buffer[] = [];
  errors.on('data', (chunk: Buffer) => stderr.push(chunk));
  const feeding = feed(stdin, options.input ?? '');
  const stdout: Buffer[] = [];
  for await (const chunk of output) if (options.dropsOutput !== true) stdout.push(chunk);
  const { code, signal } = await child.exited;
  if (code !== 0)
    throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}: ${Buffer.concat(stderr)}`);
  await feeding;
  return Buffer.concat(stdout);
}

function environment(): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env)) if (value !== undefined) all[name] = value;
  return all;
}

/** Runs git in a directory and returns its output without the last newline. */
export async function git(
  directory: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  return (await runProgram('git', ['-C', directory, ...args], options)).toString().trimEnd();
}

/**
 * Writes the input. A program that stops reading reports the reason when it ends, so that is not an
 * error here.
 */
async function feed(stdin: Writable, input: NonNullable<RunOptions['input']>): Promise<void> {
  for await (const chunk of typeof input === 'string' ? [input] : input) {
    if (!stdin.writable) return;
    if (!stdin.write(chunk)) await once(stdin, 'drain').catch(() => {}); // its exit code tells more
  }
  stdin.end();
}
