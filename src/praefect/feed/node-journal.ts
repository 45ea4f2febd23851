import { GitalyError } from '#base/gitaly-error';
import { EventService, Event_Kind as Kind, type ListResponse } from '#wire/gen/gitalyts/events/v1/events_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { NodeEvents, ReportedMove } from './node-events.ts';

/** A place in the journal of a node. */
export interface NodePosition {
  /** Storage of the node. */
  readonly node: string;
  readonly journal: string;
  readonly sequence: number;
}

/** The moves of a repository's references that a node has recorded since a place in its journal. */
export interface RecordedMoves {
  readonly moves: readonly ReportedMove[];
  /** Behind them. */
  readonly position: NodePosition;
}

/** Of more moves it is cheaper to list all references. */
const MAX_MOVES = 1000;
/** A node reads this many events of all its repositories to find those of one. */
const MAX_BEHIND = 10_000;
const LIMIT_MS = 30_000;
/** The node has no feed, or not this place in it. */
const UNKNOWN: ReadonlySet<string> = new Set(['UNIMPLEMENTED', 'OUT_OF_RANGE']);

/**
 * Returns a place that what is read of the repository from now on includes; `undefined` if the node
 * has no feed that is complete.
 */
export async function currentPosition(
  node: GitalyNode,
  replicaPath: string,
  nodeEvents: Pick<NodeEvents, 'last'>,
): Promise<NodePosition | undefined> {
  const after = nodeEvents.last(node);
  // From its start on the node would read a whole journal.
  const page = after === undefined ? undefined : await eventsOf(node, replicaPath, { after, limit: 1 });
  return page && positionOf(node, page);
}

/**
 * Returns the moves since a place. Those of a call that the node has answered are among them;
 * `undefined` if they are not known.
 */
export async function movesSince(
  node: GitalyNode,
  replicaPath: string,
  {
    position,
    nodeEvents,
  }: { readonly position: NodePosition; readonly nodeEvents: Pick<NodeEvents, 'last'> },
): Promise<RecordedMoves | undefined> {
  const last = nodeEvents.last(node);
  if (position.node !== node.storage || last === undefined || last - position.sequence > MAX_BEHIND)
    return undefined;
  const page = await eventsOf(node, replicaPath, { after: position.sequence, limit: MAX_MOVES });
  if (page === undefined || page.journal !== position.journal || !page.isEnd) return undefined;
  // The path may be the beginning of another one. Events without a path are about all.
  const events = page.events.filter(({ relativePath }) => ['', replicaPath].includes(relativePath));
  if (events.some(({ kind }) => kind !== Kind.REFERENCE)) return undefined;
  const moves = events.map(({ newValue, oldValue, reference, sequence }) => ({
    reference: Buffer.from(reference).toString('latin1'),
    oldValue: oldValue || undefined,
    newValue: newValue || undefined,
    sequence: Number(sequence),
  }));
  const reached = positionOf(node, page);
  return reached && { moves, position: reached };
}

function positionOf(node: GitalyNode, { cursor, journal }: ListResponse): NodePosition | undefined {
  return journal === '' ? undefined : { node: node.storage, journal, sequence: Number(cursor) };
}

async function eventsOf(
  { connection, storage: storageName }: GitalyNode,
  pathPrefix: string,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<ListResponse | undefined> {
  const request = { storageName, after: BigInt(after), limit, filter: { pathPrefix } };
  try {
    return await connection.client(EventService).list(request, { timeoutMs: LIMIT_MS });
  } catch (error) {
    if (!(error instanceof GitalyError) || !UNKNOWN.has(error.code)) throw error;
    return undefined;
  }
}
