/** A program, or one of its commands, as its help shows it. */
export interface CommandTree {
  readonly name: string;
  readonly aliases: readonly string[];
  /** One sentence; empty for none. */
  readonly description: string;
  /** Text after the name: `[options] <name>`. */
  readonly usage: string;
  /** Its options, and those of its default command. */
  readonly options: readonly OptionShape[];
  /** Values of the argument; empty for a path, `undefined` if there is no argument. */
  readonly argument: readonly string[] | undefined;
  readonly commands: readonly CommandTree[];
  /** Returns what `--help` prints. */
  help(): string;
}

export interface OptionShape {
  /** `-j` and `--jobs`; `-jobs` of praefect. */
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
}

/** A command with the words that lead to it; none lead to the program. */
export interface CommandPath {
  readonly words: readonly string[];
  readonly command: CommandTree;
}

/** Returns a program and all its commands, each before its own commands. */
export function commandPaths(command: CommandTree, words: readonly string[] = []): CommandPath[] {
  const inner = command.commands.flatMap((each) => commandPaths(each, [...words, each.name]));
  return [{ words, command }, ...inner];
}

/** Returns all names of these options. */
export function completedWords(options: readonly OptionShape[]): string[] {
  return options.flatMap(({ names }) => names);
}

/** Returns the program's name, and the words of a command, as part of a function's name. */
export function functionName(program: CommandTree, words: readonly string[] = []): string {
  return ['', program.name, ...words].join('_').replace(/\W/g, '_');
}
