import {
  type CommandPath,
  type CommandTree,
  commandPaths,
  functionName,
  type OptionShape,
} from './command-tree.ts';

/** Returns a script for zsh, for `source` or, as `_gitaly-ts`, for the `fpath`. */
export function zshCompletion(program: CommandTree): string {
  const name = functionName(program);
  return `#compdef ${program.name}
# zsh completion of ${program.name}: source <(${program.name} completion zsh)
${commandPaths(program)
  .map((path) => functionOf(program, path))
  .join('\n')}
if [[ $funcstack[1] == ${name} ]]; then
  ${name} "$@"
else
  compdef ${name} ${program.name}
fi
`;
}

/** Returns the function that completes the words after a command. */
function functionOf(program: CommandTree, { command, words }: CommandPath): string {
  const name = functionName(program, words);
  const options = command.options.flatMap(specifications);
  if (command.commands.length === 0)
    return `${name}() { _arguments ${[...options, ...argumentOf(command)].join(' ')}; }`;
  const commands = command.commands.map((each) => quoted(`${each.name}:${each.description}`));
  const branches = command.commands.map(
    (each) =>
      `${[each.name, ...each.aliases].join(' | ')}) ${functionName(program, [...words, each.name])} ;;`,
  );
  return `${name}() {
  local -a line commands=(
    ${commands.join('\n    ')}
  )
  local state
  _arguments -C ${[...options, quoted('1: :->command'), quoted('*::: :->rest')].join(' ')}
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      words=($line[1] $words)
      ((CURRENT++))
      case $line[1] in
        ${branches.join('\n        ')}
      esac
      ;;
  esac
}`;
}

function argumentOf({ argument }: CommandTree): string[] {
  if (argument === undefined) return [];
  return [quoted(`*:argument:${argument.length > 0 ? `(${argument.join(' ')})` : '_files'}`)];
}

/** Returns specifications like `'--jobs[how many]:value:_files'`. */
function specifications({ description, names, takesValue }: OptionShape): string[] {
  const text = `[${description.replace(/[[\]\\:]/g, '\\$&')}]${takesValue ? ':value:_files' : ''}`;
  return names.map((name) => quoted(`${name}${text}`));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
