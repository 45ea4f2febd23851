import { randomInt } from 'node:crypto';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { isOnMachine, type Machine } from '../nodes/this-machine.ts';

/** Chooses the node of a read among those that are healthy and up to date. */
export type ChooseReader = (nodes: readonly GitalyNode[]) => GitalyNode | undefined;

/** Chooses any of the nodes, so that reads are distributed evenly. */
export const anyReader: ChooseReader = (nodes) =>
  nodes.length === 0 ? undefined : nodes[randomInt(nodes.length)];

/** Chooses a node on the machine if there is one, otherwise any. */
export function localReaders(nodes: Iterable<GitalyNode>, machine: Machine): ChooseReader {
  const local = new Set([...nodes].filter(({ config }) => isOnMachine(config.address, machine)));
  return (candidates) => anyReader(candidates.filter((node) => local.has(node))) ?? anyReader(candidates);
}
