import { type Command, Option } from 'commander';
import { messageOf } from '#base/gitaly-error';
import { parseDurationMs } from '#base/go/duration';
import { quote } from '#base/go/quote';
import { parseBool } from '#base/go/strconv';
import type { LogStream } from '#platform/log/log-stream';
import type { PraefectConfig } from '#praefect/config/schema';
import { writePraefectUsageError } from '../commands/usage.ts';
import { explainedMessage } from '../explained-message.ts';

export interface CommandOption {
  /** `--name <value>`, or `--name` and `-n` for one that is true or false. */
  readonly flags: string;
  readonly description: string;
  readonly isRequired?: boolean;
  readonly default?: string;
  /** Type of the value; default: any text. */
  readonly type?: ValueType;
}

/** Values of options by their names without dashes. */
export type OptionValues = Readonly<Record<string, string | undefined>>;

/** Streams for the results and the errors of commands. */
export interface PraefectOutput {
  readonly stdout: LogStream;
  readonly stderr: LogStream;
}

/** Configuration and command line of an invocation, and its output. */
export interface PraefectInput {
  readonly config: PraefectConfig;
  readonly options: OptionValues;
  readonly args: readonly string[];
  readonly output: PraefectOutput;
  readonly print: (line: string) => void;
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
  run(input: PraefectInput): Promise<number | undefined>;
}

/** Type of an option's value: a whole number of 64 bits, a duration like `10s`, true or false. */
type ValueType = 'int' | 'uint' | 'duration' | 'bool';

const RANGES = {
  int: { parser: 'ParseInt', pattern: /^[+-]?\d+$/, min: -(2n ** 63n), max: 2n ** 63n - 1n },
  uint: { parser: 'ParseUint', pattern: /^\d+$/, min: 0n, max: 2n ** 64n - 1n },
};

export function addCommands(
  root: Command,
  commands: readonly PraefectCommand[],
  { exit, output }: { readonly exit: (code: number) => void; readonly output: PraefectOutput },
): void {
  for (const each of commands) {
    const command = root
      .command(each.name)
      .description(each.description)
      .allowExcessArguments()
      .addHelpText('after', `\nExample:\n  praefect --config config.praefect.toml ${each.example}`);
    if (each.argument !== undefined) command.argument(`[${each.argument}]`);
    for (const option of each.options ?? []) command.addOption(parserOption(option));
    command.action(async () => exit(await runCommand(root, command, { shape: each, output })));
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
export function optionText({ options }: PraefectInput, name: string): string {
  return options[name] ?? '';
}

export function isSet(input: PraefectInput, name: string): boolean {
  return parseBool(optionText(input, name)) ?? false;
}

async function runCommand(
  root: Command,
  command: Command,
  { output, shape }: { shape: PraefectCommand; output: PraefectOutput },
): Promise<number> {
  const { argument, name, options: declared = [] } = shape;
  const values: Record<string, string | undefined> = {};
  for (const option of declared) {
    const found = command.options.find(({ flags }) => flags === option.flags);
    // Each option takes a value, which commander stores as text.
    if (found !== undefined)
      values[nameOf(option)] = command.opts()[found.attributeName()] as string | undefined;
  }
  for (const option of declared) {
    const type = isFlag(option) ? 'bool' : option.type;
    const value = values[nameOf(option)] ?? '';
    const problem = type && valueProblem(nameOf(option), value, type);
    if (problem === undefined) continue;
    command.outputHelp();
    writePraefectUsageError(problem, (text) => output.stderr.write(text));
    return 1;
  }
  const missing = declared
    .filter((option) => option.isRequired === true && values[nameOf(option)] === undefined)
    .map(nameOf);
  const refuse = (text: string): number => {
    command.outputHelp();
    output.stderr.write(`${text}\n`);
    return 1;
  };
  if (missing.length > 0)
    return refuse(`Required ${missing.length === 1 ? 'flag' : 'flags'} "${missing.join(', ')}" not set`);
  if (argument === undefined && command.args.length > 0)
    return refuse(`${name} doesn't accept positional arguments`);
  if (argument !== undefined && command.args.length === 0)
    return refuse(`${name} requires a single positional argument`);
  if (argument !== undefined && command.args.length > 1)
    return refuse(`${name} accepts only single positional argument`);
  const interrupted = (): never => process.exit(130);
  process.once('SIGINT', interrupted);
  try {
    const { loadPraefectConfig } = await import('#praefect/config/load-praefect-config');
    const { config } = await loadPraefectConfig(root.opts<{ config?: string }>().config ?? '');
    const print = (line: string): void => void output.stdout.write(`${line}\n`);
    return (await shape.run({ config, options: values, args: command.args, output, print })) ?? 0;
  } catch (error) {
    output.stderr.write(`${explainedMessage(error)}\n`);
    return 1;
  } finally {
    process.removeListener('SIGINT', interrupted);
  }
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

/** Returns the problem of a value, in Go's words. An empty value represents a missing option. */
function valueProblem(option: string, value: string, type: ValueType): string | undefined {
  if (value === '') return undefined;
  const problem = problemOf(value, type);
  return problem && `invalid value ${quote(value)} for flag -${option}: ${problem}`;
}

function problemOf(value: string, type: ValueType): string | undefined {
  if (type === 'bool') return parseBool(value) === undefined ? 'parse error' : undefined;
  return type === 'duration' ? durationProblem(value) : numberProblem(value, type);
}

function numberProblem(value: string, type: 'int' | 'uint'): string | undefined {
  const { max, min, parser, pattern } = RANGES[type];
  const prefix = `strconv.${parser}: parsing ${quote(value)}`;
  if (!pattern.test(value)) return `${prefix}: invalid syntax`;
  const number = BigInt(value.replace(/^\+/, ''));
  return number < min || number > max ? `${prefix}: value out of range` : undefined;
}

function durationProblem(value: string): string | undefined {
  try {
    parseDurationMs(value);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}
