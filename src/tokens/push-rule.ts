/** A rule or scope that cannot be meant; the message names the part. */
export class RuleError extends Error {
  override readonly name = 'RuleError';
}

/** A kind of rule for pushes, of a token or a repository: how it is read, written and shown. */
export interface PushRule<V> {
  /**
   * Parses its JSON form; `undefined` is a token or repository without the rule.
   *
   * @throws {RuleError}
   */
  parse(value: unknown): V;
  /** Returns its JSON form; `undefined` if it limits nothing. */
  format(value: V): unknown;
  /** Loads what its check needs, and checks it as a whole; `undefined` for nothing. @throws {RuleError} */
  prepare?(value: V): Promise<void>;
  /** Describes a rule that limits something, for `gitaly-ts token list`. */
  describe(value: V): string;
  /** Its option of `gitaly-ts token create`, which may be repeated; `undefined` for none. */
  readonly option?: {
    readonly flags: string;
    readonly description: string;
    /** Returns the JSON form of all values that were given. @throws {RuleError} */
    parse(values: readonly string[]): unknown;
  };
}
