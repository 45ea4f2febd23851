import {
  type CommandPath,
  type CommandTree,
  commandPaths,
  completedWords,
  functionName,
} from './command-tree.ts';

/**
 * Returns a script for bash 4 and newer, with commands, options, and otherwise paths. Completion
 * starts no process.
 */
export function bashCompletion(program: CommandTree): string {
  const name = functionName(program);
  return `# bash completion of ${program.name}: source <(${program.name} completion bash)
# Sets what a command has; fails if there is no such command.
${name}_at() {
  case $1 in
${commandPaths(program).map(branch).join('\n')}
    *) return 1 ;;
  esac
}
${name}() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]}
  local command= options= values= words= paths= i
  ${name}_at ''
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ " $values " == *" \${COMP_WORDS[i]} "* ]]; then
      ((i++))
    elif [[ \${COMP_WORDS[i]} != -* ]] && ${name}_at "$command \${COMP_WORDS[i]}"; then
      command+=" \${COMP_WORDS[i]}"
    fi
  done
  COMPREPLY=()
  if [[ -n $values && " $values " == *" $before "* ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  elif [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
  elif [[ -n $words ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  elif [[ -n $paths ]]; then
    compopt -o filenames
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -F ${name} ${program.name}
`;
}

function branch({ command: { aliases, argument, commands, options }, words }: CommandPath): string {
  const names = [words.at(-1) ?? '', ...aliases];
  const patterns = names.map(
    (last) => `'${[...words.slice(0, -1), last].map((word) => word && ` ${word}`).join('')}'`,
  );
  const values = completedWords(options.filter((option) => option.takesValue)).join(' ');
  const choices = commands.length > 0 ? commands.map(({ name }) => name) : (argument ?? []);
  const fields = [
    `options='${completedWords(options).join(' ')}'`,
    `values='${values}'`,
    `words='${choices.join(' ')}'`,
    `paths=${argument !== undefined && choices.length === 0 ? 'yes' : ''}`,
  ];
  return `    ${patterns.join(' | ')}) ${fields.join(' ')} ;;`;
}
