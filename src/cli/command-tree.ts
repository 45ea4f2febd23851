import type { Command, Option } from 'commander';
import type { CommandTree, OptionShape } from '#tools/completion/command-tree';

/**
 * Describes a program for completion. It reads the program's own definition, so that both cannot
 * differ.
 */
export function commandTreeOf(program: Command): CommandTree {
  return {
    program: program.name(),
    options: optionsOf(program),
    commands: visibleIn(program).map((command) => ({
      name: command.name(),
      description: command.description(),
      options: allOptionsOf(command),
      argument: argumentOf(command),
    })),
  };
}

/** Returns the commands that the help shows. */
function visibleIn(command: Command): Command[] {
  const visible = command.createHelp().visibleCommands(command);
  return command.commands.filter((each) => visible.includes(each));
}

/** Returns the options of a command and of its subcommands, each once. */
function allOptionsOf(command: Command): OptionShape[] {
  const found = [command, ...visibleIn(command)].flatMap(optionsOf);
  return [...new Map(found.toReversed().map((option) => [option.long, option])).values()].toReversed();
}

/** Returns the names of subcommands, the choices of the first argument, or an empty list for a path. */
function argumentOf(command: Command): readonly string[] | undefined {
  const { registeredArguments } = command;
  const commands = visibleIn(command);
  if (commands.length > 0) return commands.map((each) => each.name());
  return registeredArguments.length === 0 ? undefined : (registeredArguments[0]?.argChoices ?? []);
}

function optionsOf(command: Command): OptionShape[] {
  return command.createHelp().visibleOptions(command).map(shapeOf);
}

/** Options by their text in the help: `-f, --file <path>`. A flag may be parsed with a value. */
function shapeOf({ description, flags }: Option): OptionShape {
  const names = flags.match(/--?[\w-]+/g) ?? [];
  const isLong = (name: string): boolean => name.startsWith('--');
  const long = names.find(isLong) ?? '';
  return { short: names.find((name) => !isLong(name)), long, description, takesValue: /[<[]/.test(flags) };
}
