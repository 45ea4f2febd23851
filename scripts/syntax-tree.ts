/** Walks the syntax trees of source files. */
import { type Node, visitorKeys } from 'oxc-parser';

/** A node and where it is in its parent; `undefined` for the root of a walk. */
export interface Place {
  readonly parent: Node;
  /** Field of the parent: `body`, `alternate` … */
  readonly key: string;
}

/** Yields the direct children of a node in the order of the source. */
export function* childrenOf(node: Node): Generator<readonly [child: Node, place: Place]> {
  // visitorKeys names the fields of a node that contain nodes, or lists of nodes and holes.
  const fields = node as unknown as Readonly<Record<string, Node | readonly (Node | null)[] | null>>;
  for (const key of visitorKeys[node.type] ?? []) {
    const value = fields[key] ?? [];
    for (const child of Array.isArray(value) ? value : [value])
      if (child !== null) yield [child, { parent: node, key }];
  }
}

/** Returns a function that converts a position to its line, which counts from 1. */
export function linesOf(source: string): (position: number) => number {
  const ends = [...source.matchAll(/\n/g)].map(({ index }) => index);
  return (position) => {
    let [low, high] = [0, ends.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ends[middle] ?? 0) < position) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  };
}
