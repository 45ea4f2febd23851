import { type CommandShape, type CommandTree, functionName, type OptionShape } from './command-tree.ts';

/** Returns a script for zsh, for `source` or, as `_gitaly-ts`, for the `fpath`. */
export function zshCompletion(tree: CommandTree): string {
  const name = functionName(tree);
  const commands = tree.commands.map((command) => `    ${quoted(`${command.name}:${command.description}`)}`);
  return `#compdef ${tree.program}
# zsh completion of ${tree.program}: source <(${tree.program} completion zsh)
${name}() {
  local -a commands=(
${commands.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe -t commands command commands
    _arguments ${tree.options.flatMap(specifications).join(' ')}
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
${tree.commands.map(branch).join('\n')}
  esac
}
if [[ $funcstack[1] == ${name} ]]; then
  ${name} "$@"
else
  compdef ${name} ${tree.program}
fi
`;
}

function branch({ name, options, argument }: CommandShape): string {
  const rest =
    argument === undefined
      ? []
      : [quoted(`*:argument:${argument.length > 0 ? `(${argument.join(' ')})` : '_files'}`)];
  return `    ${name}) _arguments ${[...options.flatMap(specifications), ...rest].join(' ')} ;;`;
}

/** Returns specifications like `'--jobs[how many]:value:_files'`. */
function specifications({ short, long, description, takesValue }: OptionShape): string[] {
  const text = `[${description.replace(/[[\]\\:]/g, '\\$&')}]${takesValue ? ':value:_files' : ''}`;
  return [short, long].filter((name) => name !== undefined).map((name) => quoted(`${name}${text}`));
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
