import { CommanderError } from 'commander';
import { withDoubleDashes, withFlagValues } from '#base/go/double-dashes';
import { tuneRuntime } from '#platform/process/tune-runtime';
import { flagNames, longOptionNames } from './praefect-commands/command.ts';
import { COMMANDS, praefectProgram } from './praefect-program.ts';

/** Time limit for pending output. */
const EXIT_LIMIT_MS = 1000;

/** Runs a command line and returns the exit code: 0 success, 1 failure, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  let code = 0;
  const root = praefectProgram((value) => {
    code = value;
  });
  for (const command of [root, ...root.commands, ...root.commands.flatMap(({ commands }) => commands)])
    command.exitOverride();
  try {
    const options = new Set(['version', 'help', 'config', ...longOptionNames(COMMANDS)]);
    const given = withFlagValues(withDoubleDashes(args, options), flagNames(COMMANDS));
    await root.parseAsync(given, { from: 'user' });
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
