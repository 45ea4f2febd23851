import { InvariantError } from '#base/invariant';
import type { Repository } from '#storage/repository';
import { type NewEvent, RESYNC_ALL, type RepositoryEvent } from './event.ts';
import { TooOldError } from './event-files.ts';
import type { Intent, Intents } from './intents.ts';
import type { Journal } from './journal.ts';
import { readValue } from './reference-values.ts';
import { eventOf } from './storage-feed.ts';
import type { UnrecordedChanges } from './unrecorded-changes.ts';

export interface RecoverOptions {
  readonly journal: Journal;
  readonly intents: Intents;
  readonly unrecorded: UnrecordedChanges;
  /** Returns the repository at a path; `undefined` if there is none. */
  readonly open: (relativePath: string) => Repository | undefined;
  /** Called when references cannot be read. */
  readonly onProblem: (error: unknown) => void;
}

/**
 * Completes the changes of a dead process: the references show which were made, the journal which
 * were reported.
 *
 * @returns the changes of references that a git of the dead process may still make.
 */
export async function recover({
  journal,
  intents,
  unrecorded,
  open,
  onProblem,
}: RecoverOptions): Promise<readonly Intent[]> {
  const { files, intents: left } = await intents.left();
  if (left.length > 0) {
    const reported = await reportedSince(journal, left[0]?.after ?? journal.last);
    const events: NewEvent[] = [];
    const report = (error: unknown): null => {
      onProblem(error);
      return null;
    };
    for (const intent of left.filter(({ kind }) => kind !== 'references'))
      events.push(...lifecycleEvents(intent, reported, open));
    for (const [path, changes] of Map.groupBy(
      left.filter(isOfReferences),
      ({ relativePath }) => relativePath,
    ))
      events.push(
        ...(await referenceEvents(path, changes, { reported, repository: open(path), onProblem: report })),
      );
    if (!(await journal.add(events))) return []; // the next start tries again
  }
  await intents.forget(files);
  const unknown = (await unrecorded.left()).map(
    (relativePath) => ({ kind: 'resync', relativePath }) as const,
  );
  if (unknown.length === 0 || (await journal.add(unknown))) await unrecorded.prepare();
  return left.filter(isOfReferences);
}

/**
 * Reports the unfinished changes of a process that has ended while this one has changes of its own:
 * by a resync, because the events of both would be mixed up.
 *
 * @returns as {@link recover}.
 */
export async function recoverBesideChanges({
  journal,
  intents,
  unrecorded,
  open,
}: Omit<RecoverOptions, 'onProblem'>): Promise<readonly Intent[]> {
  const { files, intents: left } = await intents.left();
  const references = left.filter(isOfReferences);
  const changed = new Set([
    ...references.map(({ relativePath }) => relativePath),
    ...(await unrecorded.left()),
  ]);
  const isAny = changed.has('') || references.length < left.length;
  const paths = [...changed].filter((path) => open(path) !== undefined);
  const events: NewEvent[] = isAny
    ? [RESYNC_ALL]
    : paths.map((relativePath) => ({ kind: 'resync', relativePath }));
  if (!(await journal.add(events))) return []; // the next start tries again
  await intents.forget(files);
  await unrecorded.prepare();
  return references;
}

function isOfReferences({ kind }: Intent): boolean {
  return kind === 'references';
}

/** Returns the events after a sequence; `undefined` if they are no longer kept, or out of order. */
async function reportedSince(journal: Journal, after: number): Promise<RepositoryEvent[] | undefined> {
  try {
    return (await Array.fromAsync(journal.read(after))).flat();
  } catch (error) {
    if (error instanceof TooOldError || error instanceof InvariantError) return undefined;
    throw error;
  }
}

function lifecycleEvents(
  { kind, relativePath, previousPath, after }: Intent,
  reported: readonly RepositoryEvent[] | undefined,
  open: RecoverOptions['open'],
): NewEvent[] {
  const isReported = reported?.some(
    (event) => event.sequence > after && event.kind === kind && event.relativePath === relativePath,
  );
  const isThere = open(relativePath) !== undefined;
  if (kind === 'removed') return isThere || isReported === true ? [] : [{ kind, relativePath }];
  if (!isThere || kind === 'references') return [];
  const resync = { kind: 'resync', relativePath } as const;
  if (kind === 'created') return isReported === true ? [resync] : [{ kind, relativePath }, resync];
  const wasMoved = previousPath !== undefined && open(previousPath) === undefined;
  return isReported === true || !wasMoved ? [] : [{ kind, relativePath, previousPath }, resync];
}

interface Found {
  /** Events of the journal since the first intent; `undefined` if they are no longer kept. */
  readonly reported: readonly RepositoryEvent[] | undefined;
  readonly repository: Repository | undefined;
  readonly onProblem: (error: unknown) => null;
}

async function referenceEvents(
  relativePath: string,
  intents: readonly Intent[],
  { reported, repository, onProblem }: Found,
): Promise<NewEvent[]> {
  if (repository === undefined) return []; // it was removed afterwards
  const resync = { kind: 'resync', relativePath } as const;
  if (reported === undefined || intents.some(({ values }) => values === undefined)) return [resync];
  const last = new Map<string, string | undefined>();
  for (const { values = {} } of intents)
    for (const [name, value] of Object.entries(values))
      if (!last.has(name)) last.set(name, value ?? undefined);
  for (const event of reported)
    if (event.relativePath === relativePath && event.reference !== undefined && last.has(event.reference))
      last.set(event.reference, event.newValue);
  const events: NewEvent[] = [];
  for (const [reference, oldValue] of last) {
    const newValue = await readValue(repository, reference).catch(onProblem);
    if (newValue === null) return [resync];
    if (newValue !== oldValue)
      events.push(eventOf(relativePath, { kind: 'reference', reference, oldValue, newValue }));
  }
  return events;
}
