import { posix } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { isLink } from '#base/file-mode';
import { formatBytes } from '#base/format-bytes';
import { codeOf } from '#base/gitaly-error';
import { openTreeEntry } from '#client/content/open-content';
import { repositoryAddress } from '#console/console-route';
import { link } from '#console/html/elements';
import { type Html, html } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { TreeEntryResponse_ObjectType as ObjectType } from '#wire/gen/commit_pb';
import { revisionChooser } from '../commits/revision-chooser.ts';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import { directoryPage } from './directory-page.ts';
import { contents, MAX_SHOWN_BYTES, trail } from './file-contents.ts';
import { lfsPointerIn, looksBinary } from './file-kind.ts';
import { lfsNote } from './lfs-page.ts';
import { isPicture } from './raw-file.ts';

/** Bigger pictures are not loaded with their page. */
const MAX_PICTURE_BYTES = 20 << 20;
const GITMODULES = '.gitmodules';

interface ShownFile {
  readonly bytes: Buffer;
  /** Size of the whole file. */
  readonly size: number;
}

/** Longest `.gitmodules` that is read. */
const MAX_GITMODULES_BYTES = 64 << 10;

const SECTION = /^\[submodule "(?<name>.*)"\]$/;
const QUOTED = /^"(?<text>.*)"$/;
const WEB = /^https?:\/\//;

/** Shows a directory with its README, a file, a symbolic link or a submodule. */
export async function filesPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { rest } = visit;
  if (rest.length === 0) return await directoryPage(visit);
  const entry = await open(visit, rest, MAX_SHOWN_BYTES);
  if (entry?.type === ObjectType.BLOB) {
    const file = { size: Number(entry.size), bytes: await buffer(entry.content) };
    return isLink(entry.mode) ? await linkPage(visit, file) : await filePage(visit, file);
  }
  entry?.content.destroy();
  return entry?.type === ObjectType.TREE
    ? await directoryPage(visit)
    : await submodulePage(visit, entry?.oid);
}

function open({ calls, commit, connection, repository }: RepositoryVisit, path: Buffer, limit: number) {
  const request = { repository: repository.message, revision: Buffer.from(commit.id), path };
  return openTreeEntry(connection, { ...request, limit: BigInt(limit) }, calls);
}

async function filePage(visit: RepositoryVisit, { bytes, size }: ShownFile): Promise<ConsolePage> {
  const { path, rest, revision } = visit;
  const isBinary = looksBinary(bytes);
  const isCut = bytes.length < size;
  const pointer = lfsPointerIn(bytes);
  const isPresent = pointer && (await visit.access.lfsFilesAt?.(path, [pointer.oid]))?.has(pointer.oid);
  const isShownAsPicture = isPicture(rest) && size <= MAX_PICTURE_BYTES;
  return {
    title: `${rest} · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision,
      commit: visit.commit.id,
      path: rest.toString(),
      bytes: size,
      isBinary,
      isCut,
      ...(!isBinary && { text: bytes.toString() }),
      ...(pointer && { lfs: { ...pointer, isPresent: isPresent ?? null } }),
    },
    body: html`${frame(visit)}
${await revisionChooser(visit, 'files')}
${trail(visit)}
${actions(visit, { size, isBinary })}
${pointer && lfsNote(path, pointer, isPresent)}
${isCut && !isBinary ? cutNote(visit, bytes.length) : undefined}
${isShownAsPicture ? picture(visit) : await contents(visit, { path: rest, bytes })}`,
  };
}

function actions(
  { commit, path, rest, revision }: RepositoryVisit,
  { isBinary, size }: { readonly isBinary: boolean; readonly size: number },
): Html {
  const place = { rest, query: { ref: revision } };
  const blame = link(repositoryAddress(path, 'blame', place), 'Blame');
  const history = link(repositoryAddress(path, 'commits', place), 'History');
  const raw = link(repositoryAddress(path, 'raw', place), 'Raw');
  const download = link(
    repositoryAddress(path, 'raw', { rest, query: { ref: revision, download: '1' } }),
    'Download',
  );
  const permanent = link(
    repositoryAddress(path, 'files', { rest, query: { ref: commit.id } }),
    'Permanent link',
  );
  const links = [...(isBinary ? [] : [blame]), history, raw, download, permanent];
  return html`<p>${formatBytes(size)}${links.map((each) => [' · ', each])}</p>`;
}

function cutNote({ path, rest, revision }: RepositoryVisit, shown: number): Html {
  const raw = link(repositoryAddress(path, 'raw', { rest, query: { ref: revision } }), 'the whole file');
  return html`<p>Only the first ${formatBytes(shown)} are shown. See ${raw}.</p>`;
}

function picture({ commit, path, rest }: RepositoryVisit): Html {
  const address = repositoryAddress(path, 'raw', { rest, query: { ref: commit.id } });
  return html`<p><img class="picture" src="${address}" alt="${rest.toString()}"></p>`;
}

/** Shows where a symbolic link leads. */
async function linkPage(visit: RepositoryVisit, { bytes }: ShownFile): Promise<ConsolePage> {
  const { path, rest, revision } = visit;
  const target = bytes.toString();
  const place = posix.join(posix.dirname(rest.toString()), target);
  const isInside = !target.startsWith('/') && place !== '..' && !place.startsWith('../');
  const isFound = isInside && (await exists(visit, Buffer.from(place)));
  const shown = isFound
    ? link(repositoryAddress(path, 'files', { rest: place, query: { ref: revision } }), target)
    : html`<code>${target}</code>`;
  const reason = isInside ? 'there is no such file' : 'it is outside the repository';
  return {
    title: `${rest} · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, revision, path: rest.toString(), link: target, leadsTo: isFound ? place : null },
    body: html`${frame(visit)}
${trail(visit)}
<p>A symbolic link to ${shown}${isFound ? undefined : html`, but ${reason}`}.</p>`,
  };
}

async function exists(visit: RepositoryVisit, path: Buffer): Promise<boolean> {
  if (path.equals(Buffer.from('.')) || path.equals(Buffer.from('./'))) return true;
  try {
    const entry = await open(visit, path, 1);
    entry?.content.destroy();
    return entry !== undefined;
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND' || codeOf(error) === 'INVALID_ARGUMENT') return false;
    throw error;
  }
}

/** Shows the commit and the address of a submodule. */
async function submodulePage(visit: RepositoryVisit, oid: string | undefined): Promise<ConsolePage> {
  const { path, rest } = visit;
  const address = submoduleAddress(await readGitmodules(visit), rest.toString());
  const shown =
    address !== undefined && isWebAddress(address)
      ? html`<a href="${address}" rel="noopener noreferrer nofollow">${address}</a>`
      : address;
  return {
    title: `${rest} · ${nameOf(path)}`,
    section: 'repositories',
    data: { name: path, path: rest.toString(), submodule: oid ?? null, address: address ?? null },
    body: html`${frame(visit)}
${trail(visit)}
<p>A submodule: commit <code>${oid}</code> of another repository${shown && [': ', shown]}.</p>`,
  };
}

async function readGitmodules(visit: RepositoryVisit): Promise<string> {
  try {
    const entry = await open(visit, Buffer.from(GITMODULES), MAX_GITMODULES_BYTES);
    return entry === undefined ? '' : (await buffer(entry.content)).toString();
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') return '';
    throw error;
  }
}

/**
 * Returns the address of the submodule at a path, as a `.gitmodules` file gives it; `undefined`
 * without one.
 *
 * @see gitmodules(5)
 */
function submoduleAddress(gitmodules: string, path: string): string | undefined {
  let found: { path?: string; url?: string } = {};
  for (const raw of gitmodules.split('\n')) {
    const line = raw.trim();
    if (SECTION.test(line)) found = {};
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(0, equals)).trim().toLowerCase();
    if (key === 'path' || key === 'url') found[key] = unquoted(line.slice(equals + 1).trim());
    if (found.path === path && found.url !== undefined) return found.url;
  }
  return undefined;
}

function unquoted(value: string): string {
  return QUOTED.exec(value)?.groups?.text ?? value;
}

/** Reports whether an address can be opened in a browser. */
function isWebAddress(address: string): boolean {
  return WEB.test(address) && URL.canParse(address);
}
