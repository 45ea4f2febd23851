import type { Repository } from '#storage/repository';
import type { NewEvent, RepositoryEvent } from './event.ts';
import type { Intent, Intents } from './intents.ts';
import { type Journal, TooOldError } from './journal.ts';
import { readValue } from './reference-values.ts';
import { eventOf } from './storage-feed.ts';

export interface RecoverOptions {
  readonly journal: Journal;
  readonly intents: Intents;
  /** Returns the repository of a path; `undefined` if there is none. */
  readonly open: (relativePath: string) => Repository | undefined;
}

/**
 * Finishes what a dead process has left: the references decide what was changed, the journal what
 * was reported.
 */
export async function recover({ journal, intents, open }: RecoverOptions): Promise<void> {
  const { files, intents: left } = await intents.left();
  if (left.length > 0) {
    const reported = await reportedSince(journal, left[0]?.after ?? journal.last);
    const events: NewEvent[] = [];
    for (const intent of left.filter(({ kind }) => kind !== 'references'))
      events.push(...lifecycleEvents(intent, reported, open));
    for (const [path, changes] of Map.groupBy(
      left.filter(isOfReferences),
      ({ relativePath }) => relativePath,
    ))
      events.push(...(await referenceEvents(path, changes, { reported, repository: open(path) })));
    if (!(await journal.add(events))) return; // the next start tries again
  }
  for (const file of files) await intents.remove(file);
}

function isOfReferences({ kind }: Intent): boolean {
  return kind === 'references';
}

/** Returns the events after a sequence; `undefined` if they are no longer kept. */
async function reportedSince(journal: Journal, after: number): Promise<RepositoryEvent[] | undefined> {
  try {
    return (await Array.fromAsync(journal.read(after))).flat();
  } catch (error) {
    if (error instanceof TooOldError) return undefined;
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

async function referenceEvents(
  relativePath: string,
  intents: readonly Intent[],
  {
    reported,
    repository,
  }: { reported: readonly RepositoryEvent[] | undefined; repository: Repository | undefined },
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
    const newValue = await readValue(repository, reference);
    if (newValue !== oldValue)
      events.push(eventOf(relativePath, { kind: 'reference', reference, oldValue, newValue }));
  }
  return events;
}
