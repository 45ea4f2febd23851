import type { Command } from 'commander';
import { logTime } from '#tools/admin/run-command';

/** The options of a command as they were given. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;
/** Runs a command; returns its exit code. */
export type Run = (options: Options, args: readonly string[]) => Promise<number>;

export const CONFIG = ['-c, --config <file>', 'configuration in TOML'] as const;
export const REPOSITORY_OPTION = ['--repository <path>', 'path of the repository in its storage'] as const;

/** A command with the options that Gitaly 19.0 requires, by name. */
export interface Declared {
  readonly command: Command;
  readonly required: readonly string[];
  readonly run: Run;
}

/** Adds the action of a command. */
export type Act = (declared: Declared) => void;

/** Returns a function that adds the action of a command and passes the exit code to `exit`. */
export function actions(exit: (code: number) => void): Act {
  return ({ command, required, run }) => {
    command.allowExcessArguments().action(async () => {
      const args = command.args;
      const options = command.optsWithGlobals() as Options; // commander's type for unknown options
      const missing = required.filter((name) => options[camel(name)] === undefined);
      exit(missing.length > 0 ? refuse(command, missing) : await run(options, args));
    });
  };
}

/** Prints the missing options as Gitaly does, after the help. */
function refuse(command: Command, missing: readonly string[]): number {
  const names = missing.join(', ');
  const text =
    missing.length === 1 ? `Required flag "${names}" not set` : `Required flags "${names}" not set`;
  command.outputHelp();
  process.stderr.write(`${logTime(new Date())} ${text}\n`);
  return 1;
}

function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Returns the text of an option; empty without it. */
export const textOf = (value: string | boolean | undefined): string =>
  typeof value === 'string' ? value : '';
/** Returns the text of an option; `undefined` without it. */
export const optionalText = (value: string | boolean | undefined): string | undefined =>
  textOf(value) || undefined;
