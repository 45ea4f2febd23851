import { readHead } from '#client/content/read-head';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { NodeEvents, ReportedMove } from './node-events.ts';
import { currentPosition, MAX_SEARCHED, movesSince, type NodePosition } from './node-journal.ts';

/**
 * Limit of references that are compared one by one. With more, the feed only reports that
 * references may have changed.
 */
const MAX_REFERENCES = 10_000;
/** Limit of references that are read by name. With more, it is cheaper to list all. */
const MAX_PATTERNS = 1000;
const LIMIT_MS = 30_000;
const HEAD = 'HEAD';

/**
 * Values by full name, one character per byte: object ids; for HEAD `ref: <name>`, unless it is
 * detached.
 */
export type Values = ReadonlyMap<string, string>;

/** The references of a repository on an up-to-date node, or those of them that may have changed. */
export interface Reading {
  readonly node: GitalyNode;
  readonly replicaPath: string;
  /** Place in a node's journal up to which the feed knew the repository before. */
  readonly since: NodePosition | undefined;
  /**
   * Position in the node's journal up to which the values include all changes; `undefined` if it is
   * unknown.
   */
  readonly position: NodePosition | undefined;
  /** `undefined` if there are too many. */
  readonly values: Values | undefined;
  /**
   * Recorded moves of references that may have changed; `undefined` if all references were read.
   */
  readonly moves: readonly ReportedMove[] | undefined;
}

/**
 * Reads the references of a replica that have changed since a place in the node's journal; all of
 * them if that is not known.
 */
export async function readChanged(
  node: GitalyNode,
  replicaPath: string,
  { nodeEvents, since }: { readonly nodeEvents: NodeEvents; readonly since: NodePosition | undefined },
): Promise<Reading> {
  await nodeEvents.started(node);
  const recorded = async (maxEvents?: number): Promise<Reading | undefined> => {
    const found =
      since &&
      (await movesSince(node, replicaPath, { position: since, nodeEvents, ...(maxEvents && { maxEvents }) }));
    if (found === undefined) return undefined;
    const names = new Set(found.moves.map(({ reference }) => reference));
    return { node, replicaPath, since, values: await readReferences(node, replicaPath, names), ...found };
  };
  const few = await recorded();
  if (few !== undefined) return few;
  const position = await currentPosition(node, replicaPath, nodeEvents);
  const values = await readReferences(node, replicaPath, undefined);
  // Without the list of all, more of the journal is read.
  const more = values === undefined ? await recorded(MAX_SEARCHED) : undefined;
  return more ?? { node, replicaPath, since, position, values, moves: undefined };
}

/**
 * Reads references of a replica, HEAD among them.
 *
 * @param names `undefined` for all.
 * @returns `undefined` if there are too many.
 */
async function readReferences(
  { connection, storage }: GitalyNode,
  replicaPath: string,
  names: ReadonlySet<string> | undefined,
): Promise<Values | undefined> {
  const repository = { storageName: storage, relativePath: replicaPath };
  const options = { timeoutMs: LIMIT_MS };
  const values = new Map<string, string>();
  if (names === undefined || names.has(HEAD)) {
    const head = await readHead(connection, { repository, headOnly: true }, options);
    if (head !== undefined) values.set(HEAD, 'name' in head ? `ref: ${latin1(head.name)}` : head.commitId);
  }
  const areListed = names === undefined || names.size > MAX_PATTERNS;
  const wanted = [...(areListed ? ['refs/'] : names)].filter((name) => name !== HEAD);
  if (wanted.length === 0) return values;
  const patterns = wanted.map((name) => Buffer.from(name, 'latin1'));
  let count = values.size;
  for await (const { references } of connection.ref.listRefs({ repository, patterns }, options)) {
    // A pattern also matches the names below it.
    for (const { name, target } of references)
      if (names === undefined || names.has(latin1(name))) values.set(latin1(name), target);
    count += references.length;
    if (count > MAX_REFERENCES) return undefined;
  }
  return values;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
