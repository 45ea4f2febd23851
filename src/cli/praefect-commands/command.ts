import { type Command, Option } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { parseBool } from '#base/go/strconv';
import type { PraefectConfig } from '#praefect/config/schema';
import { writePraefectUsageError } from '../usage.ts';
import { type ValueType, valueProblem } from './option-value.ts';

/** An option of a command. */
export interface CommandOption {
  /** `--name <value>`, or `--name` and `-n` for one that is true or false. */
  readonly flags: string;
  readonly description: string;
  readonly isRequired?: boolean;
  readonly default?: string;
  /** Type of the value; any text without one. */
  readonly type?: ValueType;
}

/** Values of options by their names without dashes. */
export type OptionValues = Readonly<Record<string, string | undefined>>;

/** Configuration and command line of an invocation. */
export interface CommandInput {
  readonly config: PraefectConfig;
  readonly options: OptionValues;
  readonly args: readonly string[];
}

/** A subcommand of `praefect`. Its options are named as in Gitaly. */
export interface PraefectCommand {
  readonly name: string;
  readonly description: string;
  /** Arguments of an invocation that makes sense. */
  readonly example: string;
  readonly options?: readonly CommandOption[];
  /** Names the positional argument of a command that has one. */
  readonly argument?: string;
  /** Runs it. An error goes to standard error, and the exit code is 1. */
  run(input: CommandInput): Promise<number | undefined>;
}

/** Adds subcommands to `praefect`. `exit` receives the exit code. */
export function addCommands(
  root: Command,
  commands: readonly PraefectCommand[],
  exit: (code: number) => void,
): void {
  for (const each of commands) {
    const command = root
      .command(each.name)
      .description(each.description)
      .allowExcessArguments()
      .addHelpText('after', `\nExample:\n  praefect --config config.praefect.toml ${each.example}`);
    if (each.argument !== undefined) command.argument(`[${each.argument}]`);
    for (const option of each.options ?? []) command.addOption(parserOption(option));
    command.action(async () => exit(await runCommand(root, command, each)));
  }
}

/** Returns the names of all options, for invocations in the style of Go: `-virtual-storage x`. */
export function longOptionNames(commands: readonly PraefectCommand[]): string[] {
  return commands.flatMap(({ options = [] }) => options.map(nameOf));
}

/** Returns the names of the options that are true or false. */
export function flagNames(commands: readonly PraefectCommand[]): ReadonlySet<string> {
  const flags = commands.flatMap(({ options = [] }) => options.filter(isFlag));
  return new Set(flags.map(nameOf));
}

/** Returns the value of an option that takes one; empty if it is not set. */
export function textOf({ options }: CommandInput, name: string): string {
  return options[name] ?? '';
}

/** Reports whether a flag is set. */
export function isSet(input: CommandInput, name: string): boolean {
  return parseBool(textOf(input, name)) ?? false;
}

/** Prints a line of the result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runCommand(root: Command, command: Command, shape: PraefectCommand): Promise<number> {
  const { argument, name, options: declared = [] } = shape;
  const values: Record<string, string | undefined> = {};
  for (const option of declared) {
    const found = command.options.find(({ flags }) => flags === option.flags);
    // Each option takes a value, which commander keeps as a text.
    if (found !== undefined)
      values[nameOf(option)] = command.opts()[found.attributeName()] as string | undefined;
  }
  for (const option of declared) {
    const type = isFlag(option) ? 'bool' : option.type;
    const value = values[nameOf(option)] ?? '';
    const problem = type && valueProblem(nameOf(option), value, type);
    if (problem === undefined) continue;
    command.outputHelp();
    writePraefectUsageError(problem, (text) => process.stderr.write(text));
    return 1;
  }
  const missing = declared
    .filter((option) => option.isRequired === true && values[nameOf(option)] === undefined)
    .map(nameOf);
  if (missing.length > 0)
    return usageProblem(
      command,
      `Required ${missing.length === 1 ? 'flag' : 'flags'} "${missing.join(', ')}" not set`,
    );
  if (argument === undefined && command.args.length > 0)
    return usageProblem(command, `${name} doesn't accept positional arguments`);
  if (argument !== undefined && command.args.length === 0)
    return usageProblem(command, `${name} requires a single positional argument`);
  if (argument !== undefined && command.args.length > 1)
    return usageProblem(command, `${name} accepts only single positional argument`);
  const interrupted = (): never => process.exit(130);
  process.once('SIGINT', interrupted);
  try {
    const { loadPraefectConfig } = await import('#praefect/config/load-praefect-config');
    const { config } = await loadPraefectConfig(root.opts<{ config?: string }>().config ?? '');
    return (await shape.run({ config, options: values, args: command.args })) ?? 0;
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 1;
  } finally {
    process.removeListener('SIGINT', interrupted);
  }
}

function usageProblem(command: Command, text: string): number {
  command.outputHelp();
  process.stderr.write(`${text}\n`);
  return 1;
}

/** Go's flags have a value, too: `-apply=false`. The help does not show it. */
function parserOption(option: CommandOption): Option {
  const { default: value, description, flags } = option;
  const parsed = new Option(isFlag(option) ? `--${nameOf(option)} <bool>` : flags, description);
  parsed.flags = flags;
  return parsed.default(value);
}

function isFlag({ flags }: CommandOption): boolean {
  return !flags.includes('<');
}

function nameOf({ flags }: CommandOption): string {
  return flags.replace(/ .*/, '').replace(/^-+/, '');
}
