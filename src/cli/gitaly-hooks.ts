import { basename } from 'node:path';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { printPlainText } from './programs/plain-programs.ts';

const PROGRAM = 'gitaly-hooks';

/**
 * Returns the name under which the program was called. The launcher passes it as a title; npm's
 * link is the script's own path.
 */
function invokedAs(): string {
  const title = process.execArgv.find((word) => word.startsWith('--title='))?.slice('--title='.length);
  return title ?? basename(process.argv[1] ?? PROGRAM).replace(/\.[jt]s$/, '');
}

async function main(name: string, args: readonly string[]): Promise<number> {
  if (name === PROGRAM) {
    const [first, ...rest] = args;
    if (printPlainText(PROGRAM, first)) return 0;
    if (first === 'check') {
      const { checkAsHooks } = await import('./check-as-hooks.ts');
      return await checkAsHooks(rest);
    }
  }
  const { runHookProgram } = await import('#tools/hook-program/run-hook-program');
  return await runHookProgram(name, args, process.env, process);
}

tuneRuntime();
process.exitCode = await main(invokedAs(), process.argv.slice(2));
process.stdin.destroy(); // git may keep its end open
