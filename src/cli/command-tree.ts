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
      argument:
        command.registeredArguments.length === 0
          ? undefined
          : (command.registeredArguments[0]?.argChoices ?? []),
    })),
  };
}

function optionsOf(command: Command): OptionShape[] {
  return command.createHelp().visibleOptions(command).map(shapeOf);
}

function shapeOf({ short, long, description, required, optional }: Option): OptionShape {
  return { short, long: long ?? '', description, takesValue: required || optional };
}
