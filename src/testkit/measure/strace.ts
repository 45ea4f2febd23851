import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { until } from '../until.ts';

/** Setting of the kernel: 0 lets a user trace all of the user's processes. */
const PTRACE_SCOPE = '/proc/sys/kernel/yama/ptrace_scope';

/** Returns why system calls cannot be traced here; `undefined` if they can. */
export function reasonAgainstTracing(): string | undefined {
  const { error, status } = spawnSync('strace', ['-o', '/dev/null', 'true']);
  if (error !== undefined) return 'there is no strace';
  if (status !== 0) return 'strace may not trace processes';
  const isLimited = existsSync(PTRACE_SCOPE) && readFileSync(PTRACE_SCOPE, 'utf8').trim() !== '0';
  return isLimited && process.getuid?.() !== 0 ? 'a process may not trace its parent' : undefined;
}

/**
 * Returns what strace prints of processes, and of those that they start, while a function runs: one
 * line for each system call, two for one that another interrupts.
 */
export async function trace(
  pids: readonly [number, ...number[]],
  options: readonly string[],
  run: () => Promise<unknown>,
): Promise<string> {
  const scratch = makeScratchDirectory('strace');
  const output = join(scratch, 'output');
  const traced = pids.flatMap((pid) => ['-p', `${pid}`]);
  const strace = spawn('strace', ['-f', ...options, '-o', output, ...traced], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let messages = '';
  strace.stderr.on('data', (chunk: Buffer) => {
    messages += chunk;
  });
  const ended = once(strace, 'close');
  try {
    await until(
      () => messages.includes(`Process ${pids[0]} attached`) || strace.exitCode !== null,
      () => messages,
    );
    if (strace.exitCode !== null) throw new Error(messages);
    await run();
  } finally {
    strace.kill('SIGINT');
    await ended;
  }
  const text = readFileSync(output, 'latin1');
  rmSync(scratch, { recursive: true });
  return text;
}
