import type { Command } from 'commander';
import { didYouMean } from '#base/check-names';
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
      else process.stderr.write(`No help topic for '${name}'\n${commandHint(command)}`);
      exit(name === undefined ? 0 : UNKNOWN_COMMAND);
    });
}

/** Text below an error of the command line. */
export const WRONG_USAGE = 'Add --help to see the accepted options, with examples.';

/** Prints an error of commander; `hint` is a line for a misspelt name, or empty. */
export type WriteError = (error: string, write: (text: string) => void, hint: string) => void;

/** Makes all commands of a program suggest the nearest name for a misspelt one. */
export function suggestNames(command: Command, writeError: WriteError): void {
  command.showSuggestionAfterError(false).configureOutput({
    outputError: (error, write) => writeError(error, write, errorHint(command, error)),
  });
  for (const each of command.commands) suggestNames(each, writeError);
}

/**
 * Returns a line with the subcommand that is nearest to the first argument, or that has its name in
 * a group; empty if none is.
 */
export function commandHint(command: Command): string {
  const [name = ''] = command.args;
  const names = command.commands.map((each) => each.name());
  return asLine(didYouMean(name, names) || didYouMeanIn(command, name));
}

/** Returns the hint for the name of a command that is in a group, as `status` is in `cluster`. */
function didYouMeanIn(command: Command, name: string): string {
  const groups = command.commands.filter((group) => group.commands.some((each) => each.name() === name));
  const found = groups.map((group) => JSON.stringify(`${group.name()} ${name}`));
  return found.length === 0 ? '' : `; did you mean ${found.join(' or ')}?`;
}

function errorHint(command: Command, error: string): string {
  const option = /^error: unknown option '-*([^'=]*)/.exec(error)?.[1];
  if (option !== undefined) return asLine(didYouMean(option, longOptions(command), '--'));
  if (error.startsWith('error: unknown command ')) return commandHint(command);
  const [before = '', choices] = error.split('. Allowed choices are ');
  if (choices === undefined) return '';
  const value = before.split(/ (?:argument|value) '/)[1]?.split("'")[0] ?? '';
  return asLine(didYouMean(value, choices.trimEnd().slice(0, -1).split(', ')));
}

/** Returns the names of the options that a command and the commands above it accept. */
function longOptions(command: Command | null): string[] {
  if (command === null) return [];
  const own = command.createHelp().visibleOptions(command);
  return [...own.flatMap(({ long }) => long?.slice(2) ?? []), ...longOptions(command.parent)];
}

/** `; did you mean "x"?` becomes a line. */
function asLine(hint: string): string {
  return hint === '' ? '' : `${hint.replace('; d', 'D')}\n`;
}

/** Prints an error of commander as `gitaly` 19.0 does: with Go's words, and as a line of its log. */
export function writeUsageError(error: string, write: (text: string) => void, hint = ''): void {
  const text = goWords(error.trim());
  write(`Incorrect Usage: ${text}\n\n${logTime(new Date())} ${text}\n${hint}${WRONG_USAGE}\n`);
}

/** Prints an error of the command line as `praefect` 19.0 does: without the time. */
export function writePraefectUsageError(error: string, write: (text: string) => void, hint = ''): void {
  const text = goWords(error.trim());
  write(`Incorrect Usage: ${text}\n\n${text}\n${hint}${WRONG_USAGE}\n`);
}

function goWords(error: string): string {
  const unknown = /^error: unknown option '-*([^'=]*)/.exec(error)?.[1];
  if (unknown !== undefined) return `flag provided but not defined: -${unknown}`;
  const incomplete = /^error: option '(?:-\w, )?(-[\w-]+)/.exec(error)?.[1];
  if (incomplete !== undefined && error.endsWith("' argument missing"))
    return `flag needs an argument: ${incomplete}`;
  return error.replace(/^error: /, '');
}
