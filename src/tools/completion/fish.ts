import { type CommandPath, type CommandTree, commandPaths, type OptionShape } from './command-tree.ts';

/** Returns a script for fish, for `source` or for `~/.config/fish/completions`. */
export function fishCompletion(program: CommandTree): string {
  const complete = `complete -c ${program.name}`;
  const lines = commandPaths(program).flatMap((path) => {
    const at = `${complete} -n ${quoted(condition(path))}`;
    return [
      ...path.command.options.map((option) => `${at} ${optionWords(option)}`),
      ...path.command.commands.map(
        ({ description, name }) => `${at} -f -a ${name} -d ${quoted(description)}`,
      ),
      ...argumentLines(at, path.command),
    ];
  });
  return (
    `# fish completion of ${program.name}: ${program.name} completion fish | source\n` +
    `${lines.join('\n')}\n`
  );
}

/** Returns the condition of a line in which this command was typed, but none of its own. */
function condition({ command, words }: CommandPath): string {
  if (words.length === 0) return '__fish_use_subcommand';
  const last = [words.at(-1), ...command.aliases].join(' ');
  const seen = [...words.slice(0, -1), last].map((names) => `__fish_seen_subcommand_from ${names}`);
  const inner = command.commands.flatMap(({ aliases, name }) => [name, ...aliases]);
  const none = inner.length === 0 ? [] : [`not __fish_seen_subcommand_from ${inner.join(' ')}`];
  return [...seen, ...none].join('; and ');
}

function argumentLines(at: string, { argument, commands }: CommandTree): string[] {
  if (commands.length > 0) return [];
  if (argument === undefined) return [`${at} -f`];
  return argument.length === 0 ? [] : [`${at} -f -a ${quoted(argument.join(' '))}`];
}

function optionWords({ description, names, takesValue }: OptionShape): string {
  const words = names.map((name) => {
    if (name.startsWith('--')) return `-l ${name.slice(2)}`;
    return `${name.length === 2 ? '-s' : '-o'} ${name.slice(1)}`;
  });
  return `${words.join(' ')}${takesValue ? ' -r' : ''} -d ${quoted(description)}`;
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
