/** A condition on a position that consumes nothing. */
export type Assertion =
  | 'text start'
  | 'text end'
  | 'line start'
  | 'line end'
  | 'word boundary'
  | 'no word boundary';

/** A parsed regular expression. Groups leave no node: only whether there is a match matters. */
export type Node =
  | { readonly kind: 'character'; readonly matches: CharacterTest }
  | { readonly kind: 'assertion'; readonly assertion: Assertion }
  | { readonly kind: 'sequence'; readonly nodes: readonly Node[] }
  | { readonly kind: 'alternatives'; readonly nodes: readonly Node[] }
  /** `max` is `undefined` without an upper bound. */
  | { readonly kind: 'repeat'; readonly node: Node; readonly min: number; readonly max: number | undefined };

/** Reports whether a code point matches. */
export type CharacterTest = (codePoint: number) => boolean;

/** Flags at a position: `(?i)`, `(?m)`, `(?s)`. `(?U)` does not affect whether there is a match. */
export interface Flags {
  readonly ignoreCase: boolean;
  readonly multiLine: boolean;
  readonly dotAll: boolean;
}

/**
 * An expression that Go's `regexp.Compile` refuses. The message is Go's: `error parsing regexp:
 * missing closing ): ` and the expression in backquotes.
 *
 * @see Go: regexp/syntax/parse.go, ErrorCode
 */
export class RegexpError extends Error {
  override readonly name = 'RegexpError';

  constructor(problem: string, expression: string) {
    super(`error parsing regexp: ${problem}: \`${expression}\``);
  }
}
