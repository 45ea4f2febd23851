/** The part of a program's command line that completion needs. */
export interface CommandTree {
  readonly program: string;
  /** Options of the program itself: `--help`. */
  readonly options: readonly OptionShape[];
  readonly commands: readonly CommandShape[];
}

export interface CommandShape {
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  readonly options: readonly OptionShape[];
  /** Values of the argument; empty for a path, `undefined` if there is no argument. */
  readonly argument: readonly string[] | undefined;
}

export interface OptionShape {
  /** `-j`, if there is one. */
  readonly short: string | undefined;
  /** `--jobs` */
  readonly long: string;
  readonly description: string;
  readonly takesValue: boolean;
}

/** Returns all names of these options. */
export function wordsOf(options: readonly OptionShape[]): string[] {
  return options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
}

/** Returns the program's name as part of a function's name. */
export function functionName({ program }: CommandTree): string {
  return `_${program.replace(/\W/g, '_')}`;
}
