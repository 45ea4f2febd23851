import type { Command, Option } from 'commander';
import type { CommandTree, OptionShape } from '#tools/completion/command-tree';

/** Columns of the help without a terminal. */
const HELP_COLUMNS = 80;

/** Describes a program by its own definition, so that both cannot differ. */
export function commandTreeOf(command: Command): CommandTree {
  const commands = visibleIn(command);
  const byDefault = commands.find((each) => each.name() === defaultNameOf(command));
  return {
    name: command.name(),
    aliases: command.aliases(),
    description: command.description(),
    usage: command.usage(),
    options: optionsOf(command, ...(byDefault ? [byDefault] : [])),
    argument: argumentOf(command) ?? (byDefault && argumentOf(byDefault)),
    commands: commands.map(commandTreeOf),
    help: () => helpOf(command),
  };
}

/** Returns the commands that the help shows. */
function visibleIn(command: Command): Command[] {
  const visible = command.createHelp().visibleCommands(command);
  return command.commands.filter((each) => visible.includes(each));
}

/** Returns the command that runs without a name. Commander has no function for it. */
function defaultNameOf(command: Command): unknown {
  return Reflect.get(command, '_defaultCommandName');
}

/** Returns the choices of the first argument; empty for a path, `undefined` without an argument. */
function argumentOf({ registeredArguments: [first] }: Command): readonly string[] | undefined {
  return first && (first.argChoices ?? []);
}

/** Returns the options of commands, each once. */
function optionsOf(...commands: readonly Command[]): OptionShape[] {
  const shapes = commands.flatMap((command) => command.createHelp().visibleOptions(command).map(shapeOf));
  return [...new Map(shapes.map((shape) => [shape.names.at(-1), shape])).values()];
}

/**
 * Options by their text in the help: `-f, --file <path>`, `-storage <name>` of praefect. A flag may
 * be parsed with a value.
 */
function shapeOf({ description, flags }: Option): OptionShape {
  return { names: flags.match(/--?[\w-]+/g) ?? [], description, takesValue: /[<[]/.test(flags) };
}

/** Returns the whole help: the texts that are added to it are only printed. */
function helpOf(command: Command): string {
  const before = command.configureOutput();
  let text = '';
  const writeOut = (piece: string): void => {
    text += piece;
  };
  command.configureOutput({ ...before, writeOut, getOutHelpWidth: () => HELP_COLUMNS });
  command.outputHelp();
  command.configureOutput(before);
  return text;
}
