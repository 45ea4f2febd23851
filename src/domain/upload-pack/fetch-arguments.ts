import type { ObjectType } from '#git/names/object-info';

/** Objects that a client leaves out of a clone. */
export type PartialFilter = 'blob:none' | 'tree:0';

/** The arguments of a fetch that answers without git understand. */
export interface FetchArguments {
  /** Ids of commits that the client may have. */
  readonly haves: readonly string[];
  /** Commits whose parents the client lacks. */
  readonly shallow: readonly string[];
  /** Number of generations of commits; absent for all. */
  readonly depth: number | undefined;
  readonly filter: PartialFilter | undefined;
  readonly isDone: boolean;
  readonly includesTags: boolean;
  readonly hasProgress: boolean;
  /** True if deltas may name their base by its distance. */
  readonly hasOffsets: boolean;
  /** True if deltas may have a base that only the client has. */
  readonly isThin: boolean;
}

/** Types of the objects that are left out, unless they are wanted by their ids. */
export const LEFT_OUT: Readonly<Record<PartialFilter, readonly ObjectType[]>> = {
  'blob:none': ['blob'],
  'tree:0': ['tree', 'blob'],
};

/** Without the ten digits that mean all generations. */
const DEPTH = /^[1-9]\d{0,8}$/;
const FLAGS: ReadonlySet<string> = new Set(['done', 'include-tag', 'no-progress', 'ofs-delta', 'thin-pack']);

/** Parses arguments. @returns `undefined` if only git understands one of them. */
export function parseArguments(words: readonly string[]): FetchArguments | undefined {
  const flags = new Set<string>();
  const values = new Map<string, string[]>();
  for (const word of words) {
    const space = word.indexOf(' ');
    if (space === -1) flags.add(word);
    else {
      const [name, value] = [word.slice(0, space), word.slice(space + 1)];
      const known = values.get(name);
      if (known === undefined) values.set(name, [value]);
      else known.push(value);
    }
  }
  const { deepen = [], filter = [], have = [], shallow = [], ...others } = Object.fromEntries(values);
  if (Object.keys(others).length > 0 || !flags.isSubsetOf(FLAGS)) return undefined;
  if (deepen.length > 1 || filter.length > 1 || !deepen.every((text) => DEPTH.test(text))) return undefined;
  const [omitted] = filter;
  if (omitted !== undefined && omitted !== 'blob:none' && omitted !== 'tree:0') return undefined;
  return {
    haves: have,
    shallow,
    depth: deepen.map(Number)[0],
    filter: omitted,
    isDone: flags.has('done'),
    includesTags: flags.has('include-tag'),
    hasProgress: !flags.has('no-progress'),
    hasOffsets: flags.has('ofs-delta'),
    isThin: flags.has('thin-pack'),
  };
}
