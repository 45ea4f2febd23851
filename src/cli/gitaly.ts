import { CommanderError } from 'commander';
import { withDoubleDashes } from '#base/go/double-dashes';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { gitalyProgram } from './gitaly-program.ts';

/** Time limit for pending output. */
const EXIT_LIMIT_MS = 1000;

/** Runs a command line and returns the exit code: 0 success, 1 failure, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const root = gitalyProgram((value) => {
    code = value;
  });
  for (const command of [root, ...root.commands, ...root.commands.flatMap((each) => each.commands)])
    command.exitOverride();
  try {
    await root.parseAsync(withDoubleDashes(args, new Set(['version', 'help'])), { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 2; // commander has printed the error
  }
}

tuneRuntime();
const code = await main(process.argv.slice(2));
process.exitCode = code;
// Everything has ended by now. A forgotten handle must not keep a stopped server alive.
setTimeout(() => process.exit(code), EXIT_LIMIT_MS).unref();
