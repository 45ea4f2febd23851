import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/connection';
import { decodeEvent, type RepositoryEvent } from '#client/watch-events';
import { EventService } from '#wire/gen/gitalyts/events/v1/events_pb';
import { repositoryAddress } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import { frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const SHORT_ID = 10;
const OBJECT_ID = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
const TEXTS: Readonly<Record<Exclude<RepositoryEvent['kind'], 'reference'>, string>> = {
  created: 'The repository was created',
  removed: 'The repository was removed',
  renamed: 'The repository was renamed',
  resync: 'Several references may have changed',
  compacted: 'Earlier changes were combined',
};

/** Changes of a repository in the change feed. */
interface RecentChanges {
  /** The latest first. */
  readonly events: readonly RepositoryEvent[];
  /** Number of the storage's last events that were searched; `undefined`: all. */
  readonly searched: number | undefined;
}

interface RecentChangesOptions {
  readonly storage: string;
  readonly path: string;
  readonly calls: { readonly signal: AbortSignal; readonly timeoutMs: number };
}

const MAX_CHANGES = 50;
/** Events of all repositories that are searched: the first of these numbers that is still stored. */
const SEARCHED = [20_000, 1000, 100] as const;

/** Lists the latest changes of the references of a repository. */
export async function pushesPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { connection, path } = visit;
  const changes = await recentChanges(connection, visit);
  const [changedMs = 0] = (await visit.lastWrites?.([path])) ?? [];
  const changed = changedMs === 0 ? undefined : new Date(changedMs);
  return {
    title: `Pushes · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      lastChange: changed ?? null,
      hasFeed: changes !== undefined,
      changes: changes?.events.map(dataOf) ?? [],
    },
    body: html`${frame(visit)}
<h2>Pushes</h2>
${changed && html`<p>Last change, by a push or by maintenance: ${instant(changed)}.</p>`}
${changes === undefined ? NO_FEED : list(path, changes)}`,
  };
}

const NO_FEED = html`<p>Single changes are not known: the server keeps no change feed.
Start with up --events, or set enabled = true in [events] of its configuration.</p>`;

function dataOf({ kind, newValue, oldValue, reference, sequence, time, user }: RepositoryEvent) {
  return {
    sequence: Number(sequence),
    time,
    kind,
    reference: reference?.toString() ?? null,
    old: oldValue ?? null,
    new: newValue ?? null,
    user: user ?? null,
  };
}

function list(path: string, { events, searched }: RecentChanges): Html {
  const note =
    searched === undefined
      ? undefined
      : html`<p class="note">Of the last ${searched} changes of all repositories.</p>`;
  if (events.length === 0) return html`<p>No change is known.</p>${note}`;
  const rows = events.map((event) => [
    instant(event.time),
    event.reference?.toString(),
    changeOf(path, event),
    whoOf(event),
  ]);
  return html`${table(['Time', 'Reference', 'Change', 'By'], rows)}\n${note}`;
}

/** Returns the name of who made a change, with the name of the token or key. */
function whoOf({ user }: RepositoryEvent): string | undefined {
  if (user?.credential === undefined || user.credential.name === '') return user?.name || user?.id;
  return `${user.name} (${user.credential.kind} ${user.credential.name})`;
}

function changeOf(path: string, { kind, newValue, oldValue }: RepositoryEvent): Part {
  if (kind !== 'reference') return TEXTS[kind];
  if (newValue === undefined) return ['deleted, was ', shownValue(path, oldValue)];
  if (oldValue === undefined) return ['set to ', shownValue(path, newValue)];
  return [shownValue(path, oldValue), ' → ', shownValue(path, newValue)];
}

function shownValue(path: string, value: string | undefined): Part {
  if (value === undefined || !OBJECT_ID.test(value)) return value;
  return link(
    repositoryAddress(path, 'commit', { rest: value }),
    html`<code>${value.slice(0, SHORT_ID)}</code>`,
  );
}

/**
 * Returns the latest changes of a repository; `undefined` from a server without a change feed.
 *
 * @throws the error of a call.
 */
async function recentChanges(
  connection: Connection,
  options: RecentChangesOptions,
): Promise<RecentChanges | undefined> {
  try {
    const last = await lastCursor(connection, options);
    for (const searched of SEARCHED) {
      const start = last - BigInt(searched);
      const events = await changesAfter(connection, start > 0n ? start : 0n, options);
      if (events !== undefined) return { events, searched: start > 0n ? searched : undefined };
    }
    return { events: [], searched: 0 };
  } catch (error) {
    if (codeOf(error) === 'UNIMPLEMENTED') return undefined;
    throw error;
  }
}

/** Returns the cursor of the feed's last event, which the first message of a watch contains. */
async function lastCursor(connection: Connection, { calls, storage }: RecentChangesOptions): Promise<bigint> {
  const ending = new AbortController();
  const signal = AbortSignal.any([calls.signal, ending.signal]);
  const messages = connection
    .client(EventService)
    .watch({ storageName: storage, fromNow: true }, { ...calls, signal });
  try {
    for await (const { cursor } of messages) return cursor;
    return 0n;
  } finally {
    ending.abort();
  }
}

/** Returns the last changes after a cursor; `undefined` if the events after it are not kept. */
async function changesAfter(
  connection: Connection,
  start: bigint,
  { calls, path, storage }: RecentChangesOptions,
): Promise<RepositoryEvent[] | undefined> {
  const filter = { pathPrefix: path };
  let found: RepositoryEvent[] = [];
  let [after, compactedTo] = [start, 0n];
  try {
    for (let isEnd = false; !isEnd; ) {
      const page = await connection
        .client(EventService)
        .list({ storageName: storage, after, compactedTo, filter }, calls);
      const own = page.events.map(decodeEvent).filter(({ relativePath }) => relativePath === path);
      found = [...found, ...own].slice(-MAX_CHANGES);
      ({ isEnd, cursor: after, compactedTo } = page);
    }
  } catch (error) {
    if (codeOf(error) === 'OUT_OF_RANGE') return undefined;
    throw error;
  }
  return found.toReversed();
}
