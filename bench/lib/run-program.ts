import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Writable } from 'node:stream';

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | AsyncIterable<Uint8Array | string>;
}

/** The environment of every git that a bench starts: no settings of the machine, no prompts. */
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

/** Runs a program to its end. @throws {Error} with what it wrote to standard error when it fails. */
export async function runProgram(program: string, args: readonly string[], options: RunOptions = {}): Promise<Buffer> {
  const child = spawn(program, args, { env: { ...process.env, ...GIT_ENVIRONMENT, ...options.env }, stdio: 'pipe' });
  const closed = once(child, 'close');
  child.stdin.on('error', () => {});
  const stderr: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const feeding = feed(child.stdin, options.input ?? '');
  const stdout: Buffer[] = [];
  for await (const chunk of child.stdout) stdout.push(chunk);
  const [code, signal] = await closed;
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}: ${Buffer.concat(stderr)}`);
  await feeding;
  return Buffer.concat(stdout);
}

/** Runs git in a directory and gives what it wrote, without the last newline. */
export async function git(directory: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return (await runProgram('git', ['-C', directory, ...args], options)).toString().trimEnd();
}

/** A program that stops reading says why when it ends, so that is no error here. */
async function feed(stdin: Writable, input: NonNullable<RunOptions['input']>): Promise<void> {
  for await (const chunk of typeof input === 'string' ? [input] : input) {
    if (!stdin.writable) return;
    if (!stdin.write(chunk)) await once(stdin, 'drain').catch(() => {});
  }
  stdin.end();
}
