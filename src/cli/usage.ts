import type { Command } from 'commander';

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
