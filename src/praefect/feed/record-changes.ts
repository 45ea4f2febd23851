import { setTimeout as delay } from 'node:timers/promises';
import { type Database, type Executor, sql } from '../database/database.ts';
import type { GitalyNode, ObservedNodes } from '../nodes/gitaly-node.ts';
import { type ChangedRepository, EventWriter } from './event-writer.ts';
import { KEPT_MOVES, type Move, type NodeEvents, type ReportedMove, stepsOf } from './node-events.ts';
import { latestMoves, type NodePosition } from './node-journal.ts';
import { type Reading, readChanged, type Values } from './read-references.ts';

export interface RecordChangesOptions extends ObservedNodes {
  readonly database: Database;
  readonly nodeEvents: NodeEvents;
  /** Called when references cannot be read. They are read again later. */
  readonly onProblem: (error: unknown) => void;
}

/** The paths of a change, each of which may be that of another repository before or afterwards. */
interface ChangedPaths {
  readonly virtual_storage: string;
  readonly relative_path: string;
  readonly previous_path: string | null;
}

/** A change that the trigger has recorded. */
interface Change extends ChangedPaths {
  readonly id: number;
  readonly kind: 'created' | 'written' | 'renamed' | 'removed';
  readonly repository_id: number;
}

const BATCH = 500;
const READS_AT_ONCE = 8;
/** The feed of a node may report a move a little later than it can be read. */
const DETAIL_LOOK_MS = 10;
const DETAIL_LOOKS = 20;

/**
 * Makes events of the recorded changes. The references of an up-to-date replica decide: such a
 * replica has all acknowledged writes, whatever happened to the primary. The feeds of the nodes
 * only add the values between.
 *
 * @param isBlocked repositories that were blocked a moment ago.
 * @returns the repositories that are blocked now, and whether there may be further changes;
 *   `undefined` if another Praefect is at work. Blocked are those whose references cannot be read,
 *   and those at a path that one of these had before.
 */
export async function recordChanges(
  options: RecordChangesOptions,
  isBlocked: readonly number[],
): Promise<{ readonly blocked: readonly number[]; readonly isEnd: boolean } | undefined> {
  return await options.database.transaction(async (executor) => {
    const [state] = (
      await sql<{ last: number }>`SELECT last FROM gitalyts_feed_state FOR UPDATE SKIP LOCKED`.execute(
        executor,
      )
    ).rows;
    if (state === undefined) return undefined;
    const { rows: changes } = await sql<Change>`
      SELECT id, kind, repository_id, virtual_storage, relative_path, previous_path
      FROM gitalyts_feed_changes WHERE repository_id <> ALL (${isBlocked}::bigint[])
      ORDER BY id LIMIT ${BATCH}`.execute(executor);
    const { readings, unreadable } = await readAll(options, executor, changes);
    const { blocked, done } = separate(changes, unreadable, await pathsOfAll(executor, isBlocked));
    const writer = new EventWriter(executor, state.last);
    for (const change of done) await record(options, { executor, writer, readings }, change);
    await writer.end();
    const ids = done.map(({ id }) => id);
    await sql`DELETE FROM gitalyts_feed_changes WHERE id = ANY (${ids}::bigint[])`.execute(executor);
    return { blocked, isEnd: changes.length < BATCH };
  });
}

/** Returns the paths of the changes of repositories. */
async function pathsOfAll(executor: Executor, ids: readonly number[]): Promise<readonly ChangedPaths[]> {
  if (ids.length === 0) return [];
  const { rows } = await sql<ChangedPaths>`
    SELECT DISTINCT virtual_storage, relative_path, previous_path FROM gitalyts_feed_changes
    WHERE repository_id = ANY (${ids}::bigint[])`.execute(executor);
  return rows;
}

/**
 * Separates the changes that can be recorded now from the others, and returns the repositories of
 * these. At a path of a change that waits, all later changes wait: they belong to another
 * repository.
 *
 * @param unreadable repositories whose changes wait.
 * @param before paths of further changes that wait.
 */
function separate(
  changes: readonly Change[],
  unreadable: readonly number[],
  before: readonly ChangedPaths[],
) {
  const blocked = new Set(unreadable);
  const taken = new Set(before.flatMap(keysOf));
  const done = changes.filter((change) => {
    const keys = keysOf(change);
    if (!blocked.has(change.repository_id) && !keys.some((key) => taken.has(key))) return true;
    blocked.add(change.repository_id);
    for (const key of keys) taken.add(key);
    return false;
  });
  return { blocked: [...blocked], done };
}

function keysOf({ previous_path, relative_path, virtual_storage }: ChangedPaths): string[] {
  const paths = previous_path === null ? [relative_path] : [relative_path, previous_path];
  return paths.map((path) => `${virtual_storage}\0${path}`);
}

/** A repository with its up-to-date replicas and the state that the feed has of it. */
interface ReplicaRow {
  readonly id: number;
  readonly path: string;
  readonly primary: string | null;
  readonly storages: readonly string[];
  readonly node: string | null;
  readonly journal: string | null;
  readonly sequence: number | null;
}

function positionOf({ journal, node, sequence }: ReplicaRow): NodePosition | undefined {
  if (node === null || journal === null || sequence === null) return undefined;
  return { node, journal, sequence };
}

/** Reads the references of the repositories that were written, each behind its last change. */
async function readAll(
  options: RecordChangesOptions,
  executor: Executor,
  changes: readonly Change[],
): Promise<{ readonly readings: ReadonlyMap<Change, Reading>; readonly unreadable: readonly number[] }> {
  const written = new Map<number, Change>();
  for (const change of changes)
    if (change.kind === 'created' || change.kind === 'written') written.set(change.repository_id, change);
  const { rows } = await sql<ReplicaRow>`
    SELECT repository_id AS id, replica_path AS path, "primary", array_agg(storage) AS storages,
      node, node_journal AS journal, node_sequence AS sequence
    FROM repositories JOIN storage_repositories USING (repository_id, generation)
      LEFT JOIN gitalyts_feed_repositories USING (repository_id)
    WHERE repository_id = ANY (${[...written.keys()]}::bigint[])
    GROUP BY repository_id, replica_path, "primary", node, node_journal, node_sequence`.execute(executor);
  const readings = new Map<Change, Reading>();
  const unreadable: number[] = [];
  const read = async (row: ReplicaRow): Promise<void> => {
    const { id, path, primary, storages } = row;
    const change = written.get(id);
    if (change === undefined) return;
    const nodes = (options.nodes.get(change.virtual_storage) ?? []).filter(
      (node) => storages.includes(node.storage) && options.isHealthy(node),
    );
    nodes.sort((one, other) => Number(other.storage === primary) - Number(one.storage === primary));
    const reading = await readFirst(nodes, path, { ...options, since: positionOf(row) });
    if (reading === undefined) unreadable.push(id);
    else readings.set(change, reading);
  };
  for (let start = 0; start < rows.length; start += READS_AT_ONCE)
    await Promise.all(rows.slice(start, start + READS_AT_ONCE).map(read));
  return { readings, unreadable };
}

async function readFirst(
  nodes: readonly GitalyNode[],
  replicaPath: string,
  { nodeEvents, onProblem, since }: RecordChangesOptions & { readonly since: NodePosition | undefined },
): Promise<Reading | undefined> {
  for (const node of nodes)
    try {
      return await readChanged(node, replicaPath, { nodeEvents, since });
    } catch (error) {
      onProblem(error); // the next node has them, too
    }
  return undefined;
}

interface Recording {
  readonly executor: Executor;
  readonly writer: EventWriter;
  readonly readings: ReadonlyMap<Change, Reading>;
}

async function record(
  { nodeEvents }: RecordChangesOptions,
  { executor, readings, writer }: Recording,
  change: Change,
): Promise<void> {
  const repository: ChangedRepository = {
    repositoryId: change.repository_id,
    virtualStorage: change.virtual_storage,
    relativePath: change.relative_path,
  };
  if (change.kind === 'created') await writer.created(repository);
  if (change.kind === 'removed') await writer.removed(repository);
  if (change.kind === 'renamed') await writer.renamed(repository, change.previous_path ?? '');
  const reading = readings.get(change);
  if (reading === undefined) return;
  const { moves: recorded, position, values } = reading;
  const known = values && (await knownValues(executor, repository, reading));
  if (values === undefined || known === undefined)
    await writer.resync(repository, recorded === undefined ? values : undefined);
  else await writer.moved(repository, await detailed(nodeEvents, reading, differences(known, values)));
  await writer.reached(repository, position);
}

/**
 * Returns the values that the feed has reported of the references that were read; `undefined` if
 * they are not known. Those that were never listed had the values that the node has recorded.
 */
async function knownValues(
  executor: Executor,
  { repositoryId: id }: ChangedRepository,
  { moves }: Reading,
): Promise<Values | undefined> {
  const [repository] = (
    await sql<{ is_listed: boolean }>`
      SELECT is_listed FROM gitalyts_feed_repositories WHERE repository_id = ${id}`.execute(executor)
  ).rows;
  if (repository === undefined || (!repository.is_listed && moves === undefined)) return undefined;
  const names = moves?.map(({ reference }) => Buffer.from(reference, 'latin1'));
  const { rows } = await sql<{ name: Buffer; value: string }>`
    SELECT name, value FROM gitalyts_feed_references
    WHERE repository_id = ${id}
      ${names === undefined ? sql`` : sql`AND name = ANY (${names}::bytea[])`}`.execute(executor);
  const known = new Map(rows.map(({ name, value }) => [name.toString('latin1'), value]));
  if (!repository.is_listed) addBefore(known, moves ?? []);
  return known;
}

/** Adds the values before the first recorded move of each reference without a known value. */
function addBefore(known: Map<string, string>, moves: readonly Move[]): void {
  const seen = new Set(known.keys());
  for (const { oldValue, reference } of moves) {
    if (!seen.has(reference) && oldValue !== undefined) known.set(reference, oldValue);
    seen.add(reference);
  }
}

function differences(known: Values, values: Values): Move[] {
  return [...new Set([...known.keys(), ...values.keys()])]
    .map((reference) => ({ reference, oldValue: known.get(reference), newValue: values.get(reference) }))
    .filter(({ newValue, oldValue }) => newValue !== oldValue);
}

/**
 * Replaces moves by the steps between their values, as far as the node knows them, in the node's
 * order. That is the order in which they happened.
 */
async function detailed(
  nodeEvents: NodeEvents,
  { moves: recorded = [], node, replicaPath, since }: Reading,
  moves: readonly Move[],
): Promise<readonly Move[]> {
  const inJournal = stepsOf(recorded, moves);
  const find = () =>
    nodeEvents.between(node, replicaPath, moves).map((steps, index) => inJournal[index] ?? steps);
  let found = find();
  // With more moves, the node has not kept all.
  const looks = moves.length <= KEPT_MOVES ? DETAIL_LOOKS : 0;
  for (let look = 0; look < looks && nodeEvents.isFollowed(node) && found.includes(undefined); look++) {
    await delay(DETAIL_LOOK_MS);
    found = find();
  }
  let areOlder = false;
  if (moves.length > 1 && found.includes(undefined)) {
    const names = new Set(moves.map(({ reference }) => reference));
    for await (const latest of latestMoves(node, replicaPath, { nodeEvents, since, names })) {
      const steps = stepsOf(latest.moves, moves);
      const places = placesOf(latest.moves, moves);
      found = found.map((each, index) => each ?? steps[index] ?? places[index]);
      areOlder = latest.areMany;
      if (!found.includes(undefined)) break;
    }
  }
  const unknown = moves.filter((_, index) => found[index] === undefined);
  const known = found.flatMap((each) => each ?? []).sort((one, other) => one.sequence - other.sequence);
  return areOlder ? [...unknown, ...known] : [...known, ...unknown];
}

/**
 * Returns each move at the position of the last reported move to the same value, if there is one.
 */
function placesOf(
  reported: readonly ReportedMove[],
  moves: readonly Move[],
): readonly (readonly ReportedMove[] | undefined)[] {
  const byReference = Map.groupBy(reported, ({ reference }) => reference);
  return moves.map((move) => {
    const last = byReference.get(move.reference)?.findLast(({ newValue }) => newValue === move.newValue);
    return last && [{ ...move, sequence: last.sequence }];
  });
}
