import { type CommandShape, type CommandTree, functionName, wordsOf } from './command-tree.ts';

/**
 * Returns a script for bash 4 and newer, with commands, options, and otherwise paths. Completion
 * starts no process.
 */
export function bashCompletion(tree: CommandTree): string {
  const name = functionName(tree);
  const commands = tree.commands.map((command) => command.name).join(' ');
  return `# bash completion of ${tree.program}: source <(${tree.program} completion bash)
${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} command= options= values= words=
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} != -* ]]; then
      command=\${COMP_WORDS[i]}
      break
    fi
  done
  case $command in
    '') options='${wordsOf(tree.options).join(' ')}' words='${commands}' ;;
${tree.commands.map(branch).join('\n')}
  esac
  COMPREPLY=()
  if [[ -n $values && " $values " == *" $before "* ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  elif [[ -n $command ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F ${name} ${tree.program}
`;
}

function branch({ name, options, argument }: CommandShape): string {
  const values = wordsOf(options.filter((option) => option.takesValue));
  const words = argument === undefined || argument.length === 0 ? '' : ` words='${argument.join(' ')}'`;
  return `    ${name}) options='${wordsOf(options).join(' ')}' values='${values.join(' ')}'${words} ;;`;
}
