import { nearestName } from './nearest-name.ts';

/** Names of options; an object contains the names of nested options. */
export interface OptionNames {
  readonly [name: string]: true | OptionNames;
}

/** The names of all options of a type: the compiler checks that none is missing. */
export type NamesOf<Options> = Readonly<Record<keyof Options, true | OptionNames>>;

/** Returns the names of an object's properties, such as one with all defaults. */
export function namesIn<Options extends object>(all: Options): Readonly<Record<keyof Options, true>> {
  const names = Object.keys(all).map((name) => [name, true] as const);
  return Object.fromEntries(names) as Readonly<Record<keyof Options, true>>; // as `all` has them
}

/**
 * Refuses misspelt options, which would otherwise change nothing, silently.
 *
 * @throws {TypeError} with the nearest name
 */
export function checkNames(what: string, given: object, known: OptionNames): void {
  check(what, '', given, known);
}

function check(what: string, prefix: string, given: object, known: OptionNames): void {
  for (const [name, value] of Object.entries(given)) {
    const inner = Object.hasOwn(known, name) ? known[name] : undefined;
    if (inner === undefined)
      throw new TypeError(
        `${what} has no option "${prefix}${name}"${didYouMean(name, Object.keys(known), prefix)}`,
      );
    if (inner !== true && typeof value === 'object' && value !== null)
      check(what, `${prefix}${name}.`, value, inner);
  }
}

/** Returns `; did you mean "…"?`, or nothing if no name is similar. */
export function didYouMean(name: string, known: Iterable<string>, prefix = ''): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `; did you mean "${prefix}${nearest}"?`;
}
