import { CommanderError } from 'commander';
import { withDoubleDashes } from '#base/go/double-dashes';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { gitalyProgram } from './gitaly-program.ts';

/** Time limit for pending output. */
const EXIT_LIMIT_MS = 1000;

/**
 * Runs a command line and returns the exit code of Gitaly 19.0: 0 for success, 2 for wrong
 * arguments of `serve` and `check`, 1 for other failures, wrong options among them.
 */
async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const root = gitalyProgram((value) => {
    code = value;
  });
  const commands = [root, ...root.commands, ...root.commands.flatMap((each) => each.commands)];
  for (const command of commands) command.exitOverride();
  const longOptions = commands.flatMap((command) => command.options.map(({ long }) => long?.slice(2) ?? ''));
  const known = args[0] === 'git' ? ['config'] : longOptions; // the others are git's
  try {
    await root.parseAsync(withDoubleDashes(args, new Set([...known, 'version', 'help'])), { from: 'user' });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : 1; // commander has printed the error
  }
}

tuneRuntime();
const code = await main(process.argv.slice(2));
process.exitCode = code;
// Everything has ended by now. A forgotten handle must not keep a stopped server alive.
setTimeout(() => process.exit(code), EXIT_LIMIT_MS).unref();
