/** What a program takes on its command line, as far as completion has to know it. */
export interface CommandTree {
  readonly program: string;
  /** Of the program itself: `--help`. */
  readonly options: readonly OptionShape[];
  readonly commands: readonly CommandShape[];
}

export interface CommandShape {
  readonly name: string;
  /** One sentence. */
  readonly description: string;
  readonly options: readonly OptionShape[];
  /** Words for the argument; empty when it is a path, `undefined` when there is none. */
  readonly argument: readonly string[] | undefined;
}

export interface OptionShape {
  /** `-j`, where there is one. */
  readonly short: string | undefined;
  /** `--jobs` */
  readonly long: string;
  readonly description: string;
  readonly takesValue: boolean;
}

/** Every way to write these options. */
export function wordsOf(options: readonly OptionShape[]): string[] {
  return options.flatMap(({ short, long }) => (short === undefined ? [long] : [short, long]));
}

/** The name of the program as part of a function's name. */
export function functionName({ program }: CommandTree): string {
  return `_${program.replace(/\W/g, '_')}`;
}
