import { buffer } from 'node:stream/consumers';
import { mapInTurns } from '#base/async/loop-turns';
import { EXECUTABLE, isLink } from '#base/file-mode';
import { formatBytes } from '#base/format-bytes';
import { openTreeEntry } from '#client/content/open-content';
import type { FileEntry } from '#client/repository/contents';
import { repositoryAddress } from '#console/console-route';
import { link, wideTable } from '#console/html/elements';
import { instant } from '#console/html/format';
import { type Html, html, type Part } from '#console/html/html';
import type { LastCommit, ShownDirectory } from '#console/last-commit-searches';
import type { Listing } from '#console/listings';
import type { ConsolePage } from '#console/page';
import { revisionChooser } from '../commits/revision-chooser.ts';
import { cloneAddresses, frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { ARCHIVE_FORMATS } from './archive-file.ts';
import { contents, MAX_SHOWN_BYTES, trail } from './file-contents.ts';
import { baseName } from './file-kind.ts';

const MAX_ENTRIES = 1000;
const README = /^readme(?:\.(?:md|markdown|txt|rst))?$/i;
/** Time for the search of the last commits; a page shows them later. */
const WAIT_MS = { page: 60, json: 5000 } as const;

/** Shows a directory with its README. */
export async function directoryPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { commit, listings, path, repository, rest, revision } = visit;
  const directory = { repository: repository.message, commit: commit.id, path: rest };
  const known = listings.get(directory);
  const entries = known?.shown ?? (await entriesOf(visit));
  const readme = entries.find(({ pathBytes, type }) => type === 'file' && README.test(baseName(pathBytes)));
  // What the page waits for while last commits are searched.
  const [listing, chooser, shownReadme] = await Promise.all([
    known ?? readListing(visit, directory, entries),
    revisionChooser(visit, 'files'),
    readme && readmeOf(visit, readme),
  ]);
  listings.add(directory, listing);
  const { changes, shown } = listing;
  // Each takes milliseconds for a thousand entries.
  const { signal } = visit.calls;
  const data = await mapInTurns(shown, (entry) => entryData(entry, listing), signal);
  const rows = await mapInTurns(shown, (entry) => entryRow(visit, entry, listing), signal);
  return {
    title: rest.length === 0 ? nameOf(path) : `${rest} · ${nameOf(path)}`,
    section: 'repositories',
    isLive: changes === 'later',
    data: {
      name: path,
      revision,
      commit: commit.id,
      clone: cloneAddresses(visit),
      entries: data,
      hasMore: listing.hasMore,
    },
    body: html`${frame(visit)}
${chooser}
${trail(visit)}
${actions(visit, readme)}
${entryTable(rows, listing)}
${shownReadme}`,
  };
}

async function readListing(
  visit: RepositoryVisit,
  directory: ShownDirectory,
  entries: readonly FileEntry[],
): Promise<Listing> {
  const shown = entries.slice(0, MAX_ENTRIES);
  const [sizes, changes] = await Promise.all([
    sizesOf(visit, shown),
    visit.lastChanges.find(directory, WAIT_MS[visit.isJson ? 'json' : 'page']),
  ]);
  return { shown, hasMore: entries.length > MAX_ENTRIES, changes, sizes };
}

function actions({ commit, path, rest, revision }: RepositoryVisit, readme: FileEntry | undefined): Html {
  const archives = ARCHIVE_FORMATS.map((as) => [
    ' · ',
    link(repositoryAddress(path, 'archive', { rest, query: { ref: revision, as } }), `Download as ${as}`),
  ]);
  const history = link(repositoryAddress(path, 'commits', { rest, query: { ref: revision } }), 'History');
  const permanent = link(
    repositoryAddress(path, 'files', { rest, query: { ref: commit.id } }),
    'Permanent link',
  );
  return html`<p>${history} · ${permanent}${archives}${readme && [' · ', link('#readme', 'README')]}</p>`;
}

/** Returns the entries of a directory: directories first. One more than is shown if there are more. */
async function entriesOf({
  calls,
  commit,
  repository,
  rest,
}: RepositoryVisit): Promise<readonly FileEntry[]> {
  const found: FileEntry[] = [];
  const path = rest.length === 0 ? '.' : rest;
  const pageSize = MAX_ENTRIES + 1;
  for await (const entry of repository.files(commit.id, { ...calls, path, recursive: false, pageSize })) {
    if (found.push(entry) > MAX_ENTRIES) break;
  }
  const isDirectory = ({ type }: FileEntry): boolean => type === 'directory';
  return [...found.filter(isDirectory), ...found.filter((entry) => !isDirectory(entry))];
}

async function sizesOf(
  { calls, commit, connection, repository }: RepositoryVisit,
  shown: readonly FileEntry[],
): Promise<Map<string, number>> {
  const revisionPaths = shown
    .filter(({ type }) => type === 'file')
    .map(({ pathBytes: path }) => ({ revision: commit.id, path }));
  const sizes = new Map<string, number>();
  if (revisionPaths.length === 0) return sizes;
  const request = { repository: repository.message, revisionPaths, limit: 0n };
  for await (const { oid, size } of connection.blob.getBlobs(request, calls)) sizes.set(oid, Number(size));
  return sizes;
}

function entryTable(rows: readonly (readonly Part[])[], listing: Listing): Html {
  const note =
    listing.changes === 'later'
      ? html`<p class="note">The last commits are still searched. Reload the page to see them.</p>`
      : undefined;
  return html`<div data-refresh>
${note}
${wideTable('Entries of the directory', ['Name', 'Last commit', 'Date', 'Size', 'Mode'], rows)}
${listing.hasMore ? html`<p>The directory has more entries. Use git to see them.</p>` : undefined}
</div>`;
}

function changeOf({ pathBytes }: FileEntry, { changes }: Listing): LastCommit | undefined {
  return typeof changes === 'object' ? changes.get(pathBytes.toString('latin1')) : undefined;
}

function entryData(entry: FileEntry, listing: Listing) {
  const { mode, oid, path, type } = entry;
  const change = changeOf(entry, listing);
  return {
    path,
    type,
    mode: mode.toString(8),
    oid,
    bytes: listing.sizes.get(oid) ?? null,
    lastCommit: change ? { id: change.id, subject: change.subject, date: change.date } : null,
  };
}

function entryRow(visit: RepositoryVisit, entry: FileEntry, listing: Listing): readonly Part[] {
  const { path, revision } = visit;
  const { mode, oid, pathBytes, type } = entry;
  const address = repositoryAddress(path, 'files', { rest: pathBytes, query: { ref: revision } });
  const change = changeOf(entry, listing);
  const size = listing.sizes.get(oid);
  return [
    link(address, [baseName(pathBytes), type === 'directory' ? '/' : undefined]),
    change && link(repositoryAddress(path, 'commit', { rest: change.id }), change.subject),
    change && instant(change.date),
    size === undefined || isLink(mode) ? undefined : formatBytes(size),
    modeText(type, mode),
  ];
}

function modeText(type: FileEntry['type'], mode: number): string {
  if (type !== 'file') return type;
  if (isLink(mode)) return 'link';
  return mode === EXECUTABLE ? 'executable' : 'file';
}

async function readmeOf(visit: RepositoryVisit, { path: name, pathBytes }: FileEntry): Promise<Html> {
  const { calls, commit, connection, repository } = visit;
  const request = { repository: repository.message, revision: Buffer.from(commit.id), path: pathBytes };
  const entry = await openTreeEntry(connection, { ...request, limit: BigInt(MAX_SHOWN_BYTES) }, calls);
  const bytes = entry === undefined ? Buffer.alloc(0) : await buffer(entry.content);
  return html`<section class="readme" id="readme" aria-label="${name}"><h2>${name}</h2>
${await contents(visit, { path: pathBytes, bytes })}</section>`;
}
