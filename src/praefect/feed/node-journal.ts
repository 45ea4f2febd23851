import { GitalyError } from '#base/gitaly-error';
import {
  type Event,
  EventService,
  Event_Kind as Kind,
  type ListResponse,
} from '#wire/gen/gitalyts/events/v1/events_pb';
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

const PAGE = 1000;
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
  const read = await eventsSince(node, replicaPath, position.sequence);
  if (read === undefined || read.journal !== position.journal) return undefined;
  if (read.events.some(({ kind }) => kind !== Kind.REFERENCE)) return undefined;
  const reached = positionOf(node, read);
  return reached && { moves: read.events.map(moveOf), position: reached };
}

/** The last moves of a repository's references that a node has recorded. */
export interface LatestMoves {
  readonly moves: readonly ReportedMove[];
  /** There may be older ones that belong to the same writes. */
  readonly areMany: boolean;
}

/** Returns the moves among the last events of a node, as far as they are known. */
export async function latestMoves(
  node: GitalyNode,
  replicaPath: string,
  nodeEvents: Pick<NodeEvents, 'last'>,
): Promise<LatestMoves> {
  const last = nodeEvents.last(node);
  // After 0 the node would send a compacted feed. Its first event ever is a creation.
  const after = Math.max((last ?? 0) - MAX_BEHIND, 1);
  const read = last === undefined ? undefined : await eventsSince(node, replicaPath, after);
  const moves = (read?.events ?? []).filter(({ kind }) => kind === Kind.REFERENCE).map(moveOf);
  return { moves, areMany: moves.length > MAX_BEHIND / 2 };
}

function moveOf({ newValue, oldValue, reference, sequence }: Event): ReportedMove {
  return {
    reference: Buffer.from(reference).toString('latin1'),
    oldValue: oldValue || undefined,
    newValue: newValue || undefined,
    sequence: Number(sequence),
  };
}

function positionOf(node: GitalyNode, { cursor, journal }: ListResponse): NodePosition | undefined {
  return journal === '' ? undefined : { node: node.storage, journal, sequence: Number(cursor) };
}

/** Returns the events of a repository after a place; `undefined` if they are not known. */
async function eventsSince(
  node: GitalyNode,
  replicaPath: string,
  sequence: number,
): Promise<ListResponse | undefined> {
  const found: Event[] = [];
  for (let after = sequence; ; ) {
    const page = await eventsOf(node, replicaPath, { after, limit: PAGE });
    if (page === undefined) return undefined;
    // The path may be the beginning of another one. Events without a path are about all.
    found.push(...page.events.filter(({ relativePath }) => ['', replicaPath].includes(relativePath)));
    // What is added meanwhile belongs to a later change.
    if (page.isEnd || page.events.length < PAGE) return { ...page, events: found };
    if (found.length > MAX_BEHIND) return undefined;
    after = Number(page.cursor);
  }
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
