import type { RepositoryEvent } from '#client/watch-events';
import { repositoryAddress } from '../console-route.ts';
import { link, table } from '../html/elements.ts';
import { instant } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { ConsolePage } from '../page.ts';
import { type RecentChanges, recentChanges } from './recent-changes.ts';
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
