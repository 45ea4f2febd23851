import { GitalyError } from '#base/gitaly-error';
import { decodeUser } from '#client/watch-events';
import {
  type Event,
  EventService,
  Event_Kind as Kind,
  type ListResponse,
} from '#wire/gen/gitalyts/events/v1/events_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import { CollectedMoves, MAX_MOVES } from './collected-moves.ts';
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
  /** The place after these moves. */
  readonly position: NodePosition;
}

const PAGE = 1000;
/** Number of events, of all repositories, that a node reads to find those of one. */
const MAX_BEHIND = 10_000;
/** The same, for a change that is not known from elsewhere. */
export const MAX_SEARCHED = 640_000;
/** Numbers of the last events of a node that are searched for moves, until all are found. */
const SEARCHES: readonly number[] = [MAX_BEHIND, 40_000, 160_000, MAX_SEARCHED];
const LIMIT_MS = 30_000;
/** Codes of a node that has no feed, or not this place in it. */
const UNKNOWN: ReadonlySet<string> = new Set(['UNIMPLEMENTED', 'OUT_OF_RANGE']);

/**
 * Returns a position such that everything read from the repository afterwards includes the changes
 * before it; `undefined` if the node has no complete feed.
 */
export async function currentPosition(
  node: GitalyNode,
  replicaPath: string,
  nodeEvents: Pick<NodeEvents, 'last'>,
): Promise<NodePosition | undefined> {
  const after = nodeEvents.last(node);
  // From the beginning, the node would read its whole journal.
  const page = after === undefined ? undefined : await eventsOf(node, replicaPath, { after, limit: 1 });
  return page && positionOf(node, page);
}

export interface MovesSinceOptions {
  readonly position: NodePosition;
  readonly nodeEvents: Pick<NodeEvents, 'last'>;
  /** Number of events, of all repositories, that may be read. Default 10,000. */
  readonly maxEvents?: number;
}

/**
 * Returns the moves since a place. Those of a call that the node has answered are among them;
 * `undefined` if they are not known.
 */
export async function movesSince(
  node: GitalyNode,
  replicaPath: string,
  { position, nodeEvents, maxEvents = MAX_BEHIND }: MovesSinceOptions,
): Promise<RecordedMoves | undefined> {
  const last = nodeEvents.last(node);
  if (position.node !== node.storage || last === undefined || last - position.sequence > maxEvents)
    return undefined;
  const read = await eventsSince(node, replicaPath, position.sequence);
  if (read === undefined || read.journal !== position.journal || read.hasOthers) return undefined;
  const reached = positionOf(node, read);
  const moves = read.moves.list();
  return moves.length <= MAX_MOVES && reached ? { moves, position: reached } : undefined;
}

/** The last moves of some references that a node has recorded. */
export interface LatestMoves {
  readonly moves: readonly ReportedMove[];
  /** True if there may be older moves that belong to the same writes. */
  readonly areMany: boolean;
}

export interface LatestMovesOptions {
  readonly nodeEvents: Pick<NodeEvents, 'last'>;
  /** If this is a place of the node, older moves are not searched for. */
  readonly since: NodePosition | undefined;
  /** References whose moves are searched for. */
  readonly names: ReadonlySet<string>;
}

/**
 * Yields the moves among the last events of a node, as far as they are known, then those among more
 * of them.
 */
export async function* latestMoves(
  node: GitalyNode,
  replicaPath: string,
  { names, nodeEvents, since }: LatestMovesOptions,
): AsyncGenerator<LatestMoves, void, undefined> {
  const last = nodeEvents.last(node);
  if (last === undefined) return;
  const isKnown = since?.node === node.storage && since.sequence <= last;
  // After 0 the node would send a compacted feed. Its first event ever is a creation.
  const start = isKnown ? since.sequence : 1;
  for (const count of SEARCHES) {
    const after = Math.max(last - count, start);
    const read = await eventsSince(node, replicaPath, after, names);
    if (read === undefined) return;
    const isAll = after === start && isKnown;
    yield { moves: read.moves.list(), areMany: !isAll && read.moves.count > MAX_BEHIND / 2 };
    if (after === start) return;
  }
}

function moveOf(event: Event): ReportedMove {
  const { newValue, oldValue, reference, sequence } = event;
  return {
    reference: nameOf({ reference }),
    ...(event.user && { user: decodeUser(event.user) }),
    oldValue: oldValue || undefined,
    newValue: newValue || undefined,
    sequence: Number(sequence),
  };
}

function nameOf({ reference }: Pick<Event, 'reference'>): string {
  return Buffer.from(reference).toString('latin1');
}

function positionOf(
  node: GitalyNode,
  { cursor, journal }: Pick<ListResponse, 'cursor' | 'journal'>,
): NodePosition | undefined {
  return journal === '' ? undefined : { node: node.storage, journal, sequence: Number(cursor) };
}

/** The events of a repository after a place. */
interface ReadEvents extends Pick<ListResponse, 'cursor' | 'journal'> {
  readonly moves: CollectedMoves;
  /** True if there are events of other kinds. */
  readonly hasOthers: boolean;
}

/**
 * Returns the events of a repository after a place; `undefined` if they are not known.
 *
 * @param names of the references whose moves are collected; `undefined`: all, if they are not many.
 */
async function eventsSince(
  node: GitalyNode,
  replicaPath: string,
  sequence: number,
  names?: ReadonlySet<string>,
): Promise<ReadEvents | undefined> {
  const moves = new CollectedMoves();
  let hasOthers = false;
  for (let after = sequence; ; ) {
    const page = await eventsOf(node, replicaPath, { after, limit: PAGE });
    if (page === undefined) return undefined;
    for (const event of page.events) {
      // The path may be the beginning of another one. Events without a path are about all.
      if (event.relativePath !== '' && event.relativePath !== replicaPath) continue;
      if (event.kind !== Kind.REFERENCE) hasOthers = true;
      else if (names === undefined || names.has(nameOf(event))) moves.add(moveOf(event));
    }
    // Moves that are added during the search belong to a later change.
    if (page.isEnd || page.events.length < PAGE) return { ...page, moves, hasOthers };
    if (names === undefined && moves.kept > 2 * MAX_MOVES) return undefined;
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
