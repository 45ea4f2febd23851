import { buffer } from 'node:stream/consumers';
import { LINK } from '#base/file-mode';
import { formatBytes } from '#base/format-bytes';
import { openTreeEntry } from '#client/content/open-content';
import type { FileEntry } from '#client/repository/contents';
import { TreeEntryResponse_ObjectType as ObjectType, type TreeEntryResponse } from '#wire/gen/commit_pb';
import { repositoryAddress } from '../console-route.ts';
import { codeFrame, link, table } from '../html/elements.ts';
import { count } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { Page } from '../page.ts';
import { MAX_RENDERED_BYTES } from '../rendering/renderer.ts';
import { cloneAddresses, frame, nameOf } from './repository-frame.ts';
import type { RepositoryVisit } from './repository-visit.ts';

const MAX_ENTRIES = 1000;
/** Longer files are cut here. */
const MAX_SHOWN_BYTES = MAX_RENDERED_BYTES;
/** git treats a file as binary if there is a NUL near its start. */
const BINARY_LOOK_BYTES = 8000;
const README = /^readme(?:\.(?:md|markdown|txt|rst))?$/i;
const MARKDOWN = /\.(?:md|markdown)$/i;

/** Shows a directory with its README, or a file. */
export async function filesPage(visit: RepositoryVisit): Promise<Page> {
  const { calls, commit, connection, repository, rest } = visit;
  if (rest.length === 0) return await directoryPage(visit);
  const request = { repository: repository.message, revision: Buffer.from(commit.id), path: rest };
  const entry = await openTreeEntry(connection, { ...request, limit: BigInt(MAX_SHOWN_BYTES) }, calls);
  if (entry?.type === ObjectType.BLOB)
    return await filePage(visit, { size: Number(entry.size), bytes: await buffer(entry.content) });
  entry?.content.destroy();
  return entry?.type === ObjectType.TREE ? await directoryPage(visit) : submodulePage(visit, entry);
}

async function directoryPage(visit: RepositoryVisit): Promise<Page> {
  const { path, rest } = visit;
  const entries = await entriesOf(visit);
  const hasMore = entries.length > MAX_ENTRIES;
  const shown = entries.slice(0, MAX_ENTRIES);
  const readme = shown.find(({ pathBytes, type }) => type === 'file' && README.test(baseName(pathBytes)));
  return {
    title: rest.length === 0 ? nameOf(path) : `${rest} · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      name: path,
      revision: visit.revision,
      commit: visit.commit.id,
      clone: cloneAddresses(visit),
      entries: shown.map(({ mode, oid, path: name, type }) => ({
        path: name,
        type,
        mode: mode.toString(8),
        oid,
      })),
      hasMore,
    },
    body: html`${frame(visit)}
${trail(visit)}
${table(
  ['Name', 'Kind'],
  shown.map((entry) => entryRow(visit, entry)),
)}
${hasMore ? html`<p>The directory has more entries. Use git to see them.</p>` : undefined}
${readme && (await readmeOf(visit, readme))}`,
  };
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

function entryRow(
  { path, revision }: RepositoryVisit,
  { pathBytes, type, mode }: FileEntry,
): readonly Part[] {
  const address = repositoryAddress(path, 'files', { rest: pathBytes, query: { ref: revision } });
  const kind = type === 'file' && mode === LINK ? 'link' : type;
  return [link(address, [baseName(pathBytes), type === 'directory' ? '/' : undefined]), kind];
}

async function readmeOf(visit: RepositoryVisit, { path: name, pathBytes }: FileEntry): Promise<Html> {
  const { calls, commit, connection, repository } = visit;
  const request = { repository: repository.message, revision: Buffer.from(commit.id), path: pathBytes };
  const entry = await openTreeEntry(connection, { ...request, limit: BigInt(MAX_SHOWN_BYTES) }, calls);
  const bytes = entry === undefined ? Buffer.alloc(0) : await buffer(entry.content);
  return html`<section class="readme" aria-label="${name}"><h2>${name}</h2>
${await contents(visit, { path: pathBytes, bytes })}</section>`;
}

async function filePage(
  visit: RepositoryVisit,
  { bytes, size }: { readonly bytes: Buffer; readonly size: number },
): Promise<Page> {
  const { path, rest, revision } = visit;
  const isBinary = looksBinary(bytes);
  const place = { rest, query: { ref: revision } };
  const blame = link(repositoryAddress(path, 'blame', place), 'Blame');
  const history = link(repositoryAddress(path, 'commits', place), 'History');
  const cut =
    bytes.length < size && !isBinary
      ? html`<p>Only the first ${formatBytes(bytes.length)} are shown.</p>`
      : undefined;
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
      isCut: bytes.length < size,
      ...(!isBinary && { text: bytes.toString() }),
    },
    body: html`${frame(visit)}
${trail(visit)}
<p>${formatBytes(size)}${isBinary ? undefined : [' · ', blame]} · ${history}</p>
${cut}
${await contents(visit, { path: rest, bytes })}`,
  };
}

/** Returns a file as markup: rendered, as code, or that it is binary. */
async function contents(
  { path, renderer, revision }: RepositoryVisit,
  { bytes, path: file }: { readonly bytes: Buffer; readonly path: Buffer },
): Promise<Html> {
  if (looksBinary(bytes)) return html`<p>A binary file.</p>`;
  const text = bytes.toString().replaceAll('\r\n', '\n');
  const name = baseName(file);
  if (MARKDOWN.test(name)) {
    const directory = file.subarray(0, Math.max(0, file.lastIndexOf('/')));
    const base = `${repositoryAddress(path, 'files', { rest: directory })}/`;
    const query = `?${new URLSearchParams({ ref: revision })}`;
    const rendered = await renderer.render({ kind: 'markdown', text, base, query });
    if (rendered !== undefined) return html`<div class="prose">${rendered}</div>`;
  }
  const lines = Math.max(1, text.split('\n').length - (text.endsWith('\n') ? 1 : 0));
  const code = (await renderer.render({ kind: 'code', text, name })) ?? html`${text}`;
  const numbers = Array.from({ length: lines }, (_, index) => index + 1).join('\n');
  return html`<p class="note">${count(lines, 'line')}</p>
${codeFrame(`Contents of ${name}`, code, numbers)}`;
}

function submodulePage(visit: RepositoryVisit, entry: Pick<TreeEntryResponse, 'oid'> | undefined): Page {
  return {
    title: `${visit.rest} · ${nameOf(visit.path)}`,
    section: 'repositories',
    data: { name: visit.path, path: visit.rest.toString(), submodule: entry?.oid ?? null },
    body: html`${frame(visit)}
${trail(visit)}
<p>A submodule: commit <code>${entry?.oid}</code> of another repository.</p>`,
  };
}

/** Returns links to the directories above what is shown, and the chosen revision. */
function trail({ path, rest, revision }: RepositoryVisit): Html {
  const query = { ref: revision };
  const links: Part[] = [link(repositoryAddress(path, 'files', { query }), nameOf(path))];
  for (let end = rest.indexOf('/'); end !== -1; end = rest.indexOf('/', end + 1)) {
    const above = rest.subarray(0, end);
    links.push(' / ', link(repositoryAddress(path, 'files', { rest: above, query }), baseName(above)));
  }
  const last = rest.length === 0 ? undefined : html` / <strong>${baseName(rest)}</strong>`;
  const at = html`<span class="revision">at <strong>${revision}</strong></span>`;
  return html`<p class="trail">${links}${last} ${at}</p>`;
}

function baseName(path: Buffer): string {
  return path.subarray(path.lastIndexOf('/') + 1).toString();
}

function looksBinary(bytes: Buffer): boolean {
  return bytes.subarray(0, BINARY_LOOK_BYTES).includes(0);
}
