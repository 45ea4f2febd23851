const SLASH = 0x2f;
const NOT = 0x21;
const FULL_NAME = 0x5e;

interface Rule {
  readonly beginning: Buffer;
  readonly hides: boolean;
}

/** The references that `transfer.hideRefs` and `uploadpack.hideRefs` hide from a client. */
export class HiddenRefs {
  /** Rules; the last one that matches decides. */
  readonly #rules: readonly Rule[];

  /**
   * Creates the rules. @param values in git's order of precedence, the highest last. `!` reverses a
   * rule; `^` is for namespaces, which are not used.
   */
  constructor(values: readonly Buffer[]) {
    this.#rules = values.map(parseRule).reverse();
  }

  /** Reports whether a reference is hidden. @see git: ref_is_hidden */
  has(name: Buffer): boolean {
    return this.#rules.find(({ beginning }) => isBelow(name, beginning))?.hides ?? false;
  }

  /** Names in the rules; everything below them is affected too. */
  get names(): readonly Buffer[] {
    return this.#rules.map(({ beginning }) => beginning);
  }
}

function parseRule(value: Buffer): Rule {
  let end = value.length;
  while (value[end - 1] === SLASH) end--;
  const hides = value[0] !== NOT || end === 0;
  let start = hides ? 0 : 1;
  if (value[start] === FULL_NAME && start < end) start++;
  return { beginning: value.subarray(start, end), hides };
}

function isBelow(name: Buffer, beginning: Buffer): boolean {
  if (name.length < beginning.length || beginning.compare(name, 0, beginning.length) !== 0) return false;
  return name.length === beginning.length || name[beginning.length] === SLASH;
}
