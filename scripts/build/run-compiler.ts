import { spawnSync } from 'node:child_process';

/**
 * Runs the compiler, whose messages go to this process's outputs. Returns what else there is to
 * print if it has failed: nothing after its own messages, an explanation when it could not start
 * or was killed; `undefined` if it has succeeded.
 */
export function runCompiler(program: string, args: readonly string[]): string | undefined {
  const { error, signal, status } = spawnSync(program, args, { stdio: 'inherit' });
  if (error !== undefined)
    return (
      `build: the compiler could not be started: ${error.message}. ` +
      'Install the packages again: npm ci --ignore-scripts'
    );
  if (signal !== null)
    return `build: the compiler was killed by ${signal}. Check that the machine has 1 GiB of free memory`;
  return status === 0 ? undefined : '';
}
