import type { CommandShape, CommandTree, OptionShape } from './command-tree.ts';

/** Returns a script for fish, for `source` or for `~/.config/fish/completions`. */
export function fishCompletion(tree: CommandTree): string {
  const complete = `complete -c ${tree.program}`;
  const lines = tree.commands.flatMap(({ name, description, options, argument }) => [
    `${complete} -f -n __fish_use_subcommand -a ${name} -d ${quoted(description)}`,
    ...options.map((option) => `${complete} -n ${seen(name)} ${optionWords(option)}`),
    ...argumentLines(complete, name, argument),
  ]);
  const own = tree.options.map((option) => `${complete} -n __fish_use_subcommand ${optionWords(option)}`);
  return (
    `# fish completion of ${tree.program}: ${tree.program} completion fish | source\n` +
    `${[...own, ...lines].join('\n')}\n`
  );
}

function argumentLines(complete: string, name: string, argument: CommandShape['argument']): string[] {
  if (argument === undefined) return [`${complete} -f -n ${seen(name)}`];
  return argument.length === 0 ? [] : [`${complete} -f -n ${seen(name)} -a ${quoted(argument.join(' '))}`];
}

function optionWords({ short, long, description, takesValue }: OptionShape): string {
  const names = `${short === undefined ? '' : `-s ${short.slice(1)} `}-l ${long.slice(2)}`;
  return `${names}${takesValue ? ' -r' : ''} -d ${quoted(description)}`;
}

function seen(name: string): string {
  return `'__fish_seen_subcommand_from ${name}'`;
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
