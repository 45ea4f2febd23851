import { type Command, Option } from 'commander';
import { messageOf } from '#base/gitaly-error';
import type { PraefectConfig } from '#praefect/config/schema';
import { writePraefectUsageError } from '../usage.ts';
import { type ValueType, valueProblem } from './option-value.ts';

/** An option of a command. */
export interface CommandOption {
  /** `--name` or `--name <value>`. */
  readonly flags: string;
  readonly description: string;
  readonly isRequired?: boolean;
  readonly default?: string;
  /** Type of the value; any text without one. */
  readonly type?: ValueType;
}

/** Values of options by their names without dashes; a flag is `true`. */
export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

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
    for (const { flags, description, default: value } of each.options ?? [])
      command.addOption(new Option(flags, description).default(value));
    command.action(async () => exit(await runCommand(root, command, each)));
  }
}

/** Returns the names of all options, for invocations in the style of Go: `-virtual-storage x`. */
export function longOptionNames(commands: readonly PraefectCommand[]): string[] {
  return commands.flatMap(({ options = [] }) => options.map(({ flags }) => nameOf(flags)));
}

/** Returns the value of an option that takes one; empty if it is not set. */
export function textOf({ options }: CommandInput, name: string): string {
  const value = options[name];
  return typeof value === 'string' ? value : '';
}

/** Reports whether a flag is set. */
export function isSet({ options }: CommandInput, name: string): boolean {
  const value = options[name];
  return value === true || value === 'true';
}

/** Prints a line of the result. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function runCommand(root: Command, command: Command, shape: PraefectCommand): Promise<number> {
  const { argument, name, options: declared = [] } = shape;
  const values: Record<string, string | boolean | undefined> = {};
  for (const { flags } of declared) {
    const option = command.options.find((each) => each.flags === flags);
    // commander keeps texts and booleans, as declared by the flags.
    if (option !== undefined)
      values[nameOf(flags)] = command.opts()[option.attributeName()] as string | boolean | undefined;
  }
  for (const { flags, type } of declared) {
    const value = values[nameOf(flags)];
    const problem = type === undefined ? undefined : valueProblem(nameOf(flags), String(value ?? ''), type);
    if (problem === undefined) continue;
    command.outputHelp();
    writePraefectUsageError(problem, (text) => process.stderr.write(text));
    return 1;
  }
  const missing = declared
    .filter(({ flags, isRequired }) => isRequired === true && values[nameOf(flags)] === undefined)
    .map(({ flags }) => nameOf(flags));
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

function nameOf(flags: string): string {
  return /--([a-z-]+)/.exec(flags)?.[1] ?? flags.replace(/^-+/, '');
}
