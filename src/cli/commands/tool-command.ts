import type { Command } from 'commander';
import { messageWithHint } from '#base/gitaly-error';
import { acceptIn } from './option-values.ts';

/** Streams for the output of commands. */
export interface ToolConsole {
  readonly stdout: { write(text: string): unknown };
  readonly stderr: { write(text: string): unknown };
}

/** Receives the output and the exit code of commands. */
export interface ToolProcess extends ToolConsole {
  exitCode?: number | string | null | undefined;
}

export interface ToolResult {
  /** Output with `--json`; `lines` are for people. */
  readonly json: unknown;
  readonly lines: readonly string[];
}

export interface ToolCommand {
  readonly name: string;
  readonly description: string;
  /** Invocations, without the name of the group. */
  readonly examples: readonly string[];
  /** Options of all commands of the group, before `--json`. */
  readonly options: readonly (readonly [flags: string, description: string, byDefault: string])[];
  /** Its option `--in` is another one. */
  readonly hasIn?: boolean;
}

/** Adds a command with examples to a group of `gitaly-ts`. */
export function addToolCommand(group: Command, { hasIn = false, ...declared }: ToolCommand): Command {
  const examples = declared.examples.map((example) => `\n  gitaly-ts ${wordsTo(group)} ${example}`);
  const command = group.command(declared.name).description(declared.description);
  for (const option of declared.options) command.option(...option);
  command
    .option('--json', 'print the result as JSON')
    .exitOverride()
    .addHelpText('after', `\nExamples:${examples.join('')}`);
  return hasIn ? command : acceptIn(command);
}

/**
 * Returns an action that calls a function with the arguments and options of its command, and keeps
 * the exit code. The code of the function is loaded on use.
 */
export function runOnUse<Args extends unknown[], Console extends ToolProcess>(
  on: Console,
  load: () => Promise<(...args: [...Args, Console]) => Promise<number>>,
): (...args: [...Args, Command]) => Promise<void> {
  return async (...args) => {
    const run = await load();
    const given = args.slice(0, -1) as Args; // commander passes the command last
    on.exitCode = await run(...given, on);
  };
}

/** Returns the words that lead to a group. */
function wordsTo(group: Command): string {
  const before = group.parent?.parent ? `${wordsTo(group.parent)} ` : '';
  return `${before}${group.name()}`;
}

/** The means of the work of a command, apart from its arguments. */
export type Used<Context, Options, Console> = Context & { readonly options: Options; readonly on: Console };

/**
 * Returns a function that makes a command of its work. A command takes arguments, its options and
 * the streams. `run` provides what the work uses, and prints its result.
 */
export function commandsIn<Base, Console, Context>(
  run: (options: Base, on: Console, work: (context: Context) => Promise<ToolResult>) => Promise<number>,
) {
  return <Args extends readonly unknown[], Options extends Base = Base>(
    work: (used: Used<Context, Options, Console>, ...args: Args) => Promise<ToolResult>,
  ) =>
    (...given: [...args: Args, options: Options, on: Console]): Promise<number> => {
      const args = given.slice(0, -2) as unknown as Args; // the options and the streams are last
      const [options, on] = given.slice(-2) as [Options, Console];
      return run(options, on, (context) => work({ ...context, options, on }, ...args));
    };
}

export interface PrintOptions {
  /** Name of the group, for messages. */
  readonly group: string;
  readonly json?: boolean | undefined;
  readonly on: ToolConsole;
  /** Reports whether an error is wrong usage. */
  readonly isUsage: (error: unknown) => boolean;
}

/**
 * Prints the result of a command, or its error.
 *
 * @returns the exit code: 0, 1 after a failure, 2 for wrong usage.
 */
export async function printResult(
  work: () => Promise<ToolResult>,
  { group, isUsage, json: isJson, on }: PrintOptions,
): Promise<number> {
  try {
    const { json, lines } = await work();
    if (isJson === true) on.stdout.write(`${JSON.stringify(json, undefined, 2)}\n`);
    else for (const line of lines) on.stdout.write(`${line}\n`);
    return 0;
  } catch (error) {
    on.stderr.write(`gitaly-ts ${group}: ${messageWithHint(error)}\n`);
    return isUsage(error) ? 2 : 1;
  }
}
