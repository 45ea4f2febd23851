import { nearestName } from '#base/nearest-name';

/**
 * Refuses misspelt options, which would otherwise change nothing, silently.
 *
 * @param known the names of all options. Typed as `Record<keyof Options, true>`, the compiler
 *   checks that none is missing.
 * @throws {TypeError} with the nearest name
 */
export function checkNames(what: string, given: object, known: Readonly<Record<string, true>>): void {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(known, name)) continue;
    throw new TypeError(`${what} has no option "${name}"${didYouMean(name, Object.keys(known))}`);
  }
}

/** Returns `; did you mean "…"?`, or nothing if no name is similar. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? '' : `; did you mean "${nearest}"?`;
}
