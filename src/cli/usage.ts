import type { Command } from 'commander';
import { logTime } from '#tools/admin/run-command';

/** Gitaly's exit code for a name that is no subcommand. */
const UNKNOWN_COMMAND = 3;

/**
 * Makes a command that only has subcommands print its help, or an unknown name, as Gitaly does:
 * scripts test the exit code.
 */
export function group(command: Command, exit: (code: number) => void): Command {
  return command
    .helpCommand(true)
    .allowExcessArguments()
    .action(() => {
      const [name] = command.args;
      if (name === undefined) command.outputHelp();
      else process.stderr.write(`No help topic for '${name}'\n`);
      exit(name === undefined ? 0 : UNKNOWN_COMMAND);
    });
}

/** Text below an error of the command line. */
export const WRONG_USAGE = 'Add --help to see the accepted options, with examples.';

/** Prints an error of commander as `gitaly` 19.0 does: with Go's words, and as a line of its log. */
export function writeUsageError(error: string, write: (text: string) => void): void {
  const text = goWords(error.trim());
  write(`Incorrect Usage: ${text}\n\n${logTime(new Date())} ${text}\n${WRONG_USAGE}\n`);
}

/** Prints an error of the command line as `praefect` 19.0 does: without the time. */
export function writePraefectUsageError(error: string, write: (text: string) => void): void {
  const text = goWords(error.trim());
  write(`Incorrect Usage: ${text}\n\n${text}\n${WRONG_USAGE}\n`);
}

function goWords(error: string): string {
  const unknown = /^error: unknown option '-*([^'=]*)/.exec(error)?.[1];
  if (unknown !== undefined) return `flag provided but not defined: -${unknown}`;
  const incomplete = /^error: option '(?:-\w, )?(-+[\w-]+).*' argument missing$/.exec(error)?.[1];
  if (incomplete !== undefined) return `flag needs an argument: ${incomplete}`;
  return error.replace(/^error: /, '');
}
