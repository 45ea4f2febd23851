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
    commands: program.commands.map((command) => ({
      name: command.name(),
      description: command.description(),
      options: optionsOf(command),
      argument: argumentOf(command),
    })),
  };
}

/** Returns the names of subcommands, the choices of the first argument, or an empty list for a path. */
function argumentOf({ commands, registeredArguments }: Command): readonly string[] | undefined {
  if (commands.length > 0) return commands.map((command) => command.name());
  return registeredArguments.length === 0 ? undefined : (registeredArguments[0]?.argChoices ?? []);
}

function optionsOf(command: Command): OptionShape[] {
  return command.createHelp().visibleOptions(command).map(shapeOf);
}

function shapeOf({ short, long, description, required, optional }: Option): OptionShape {
  return { short, long: long ?? '', description, takesValue: required || optional };
}
