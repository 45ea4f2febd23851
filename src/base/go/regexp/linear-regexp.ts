import { RE2JS } from 're2js';

/** A regular expression whose time is linear in the text. */
export interface LinearRegexp {
  /** Reports whether the expression matches anywhere in a text. */
  test(text: string): boolean;
}

/**
 * Compiles an expression of this project in Go's syntax. It has no limits of size, unlike the one
 * of a client (`GoRegexp`).
 *
 * @throws {Error} for invalid syntax.
 */
export function linearRegexp(expression: string): LinearRegexp {
  return RE2JS.compile(expression);
}
