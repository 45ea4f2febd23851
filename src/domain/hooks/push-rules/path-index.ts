import type { PathRule } from '#tokens/content-rules';

/** The paths of rules. A search takes as many steps as a path has parts, however many rules there are. */
export class PathIndex {
  /** Numbers of rules by file or directory; a name that ends in `/` is only a directory. */
  readonly #numbers = new Map<string, number>();

  constructor(rules: readonly { readonly number: number; readonly rule: PathRule }[]) {
    for (const { number, rule } of rules)
      for (const path of rule.paths) if (!this.#numbers.has(path)) this.#numbers.set(path, number);
  }

  /** Returns the number of a rule for a file, or for a directory with it; `undefined` for none. */
  find(path: string): number | undefined {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) {
      const directory = this.#numbers.get(path.slice(0, end + 1)) ?? this.#numbers.get(path.slice(0, end));
      if (directory !== undefined) return directory;
    }
    return this.#numbers.get(path);
  }
}
