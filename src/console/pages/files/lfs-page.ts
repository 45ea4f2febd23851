import { LoopSlice } from '#base/async/loop-turns';
import { formatBytes } from '#base/format-bytes';
import { eachItem } from '#client/content/collect/each-item';
import { repositoryAddress } from '#console/console-route';
import { link, wideTable } from '#console/html/elements';
import { type Html, html, type Part } from '#console/html/html';
import type { ConsolePage } from '#console/page';
import { revisionChooser } from '../commits/revision-chooser.ts';
import { naturalNumber } from '../page-number.ts';
import { frame, nameOf } from '../repository-frame.ts';
import type { RepositoryVisit } from '../repository-visit.ts';
import type { LfsPointer } from './file-kind.ts';

const PAGE_SIZE = 100;
/** Limits of a tree; the files behind them are not listed. */
const MAX_POINTERS = 10_000;
const MAX_ENTRIES = 100_000;

interface LfsFile extends LfsPointer {
  readonly path: Buffer;
}

/** Lists the files of Git LFS at a revision by their path, and whether the server has them. */
export async function lfsPage(visit: RepositoryVisit): Promise<ConsolePage> {
  const { access, commit, path, query, revision } = visit;
  const skip = naturalNumber(query.get('skip'));
  const { files, isComplete } = await filesOf(visit, skip + PAGE_SIZE + 1);
  const shown = files.slice(skip, skip + PAGE_SIZE);
  const oids = [...new Set(shown.map(({ oid }) => oid))];
  const present = await access.lfsFilesAt?.(path, oids);
  const further = { ref: revision, skip: String(skip + PAGE_SIZE) };
  const next =
    files.length > skip + PAGE_SIZE ? repositoryAddress(path, 'lfs', { query: further }) : undefined;
  const rows = shown.map((file) => row(visit, file, present?.has(file.oid)));
  const list = wideTable('Files of Git LFS', ['Path', 'Size', 'SHA-256', 'On the server'], rows);
  return {
    title: `LFS · ${nameOf(path)}`,
    section: 'repositories',
    data: {
      ...{ name: path, revision, commit: commit.id, isComplete, next: next ?? null },
      files: shown.map(({ bytes, oid, path: file }) => ({
        ...{ path: file.toString(), bytes, oid, isPresent: present?.has(oid) ?? null },
      })),
    },
    body: html`${frame(visit)}
${await revisionChooser(visit, 'lfs')}
<h2>Files of Git LFS at ${revision}</h2>
${shown.length === 0 ? html`<p>There are none.</p>` : list}
${isComplete ? undefined : html`<p class="note">The tree is large: the list is not complete.</p>`}
<nav class="pages" aria-label="Pages">${next && html`<a rel="next" href="${next}">Next page</a>`}</nav>`,
  };
}

/** Finds the first files of a tree: git names its pointers, and their paths are in the entries. */
async function filesOf(
  { calls, commit, connection, repository: { message: repository } }: RepositoryVisit,
  wanted: number,
): Promise<{ readonly files: readonly LfsFile[]; readonly isComplete: boolean }> {
  const request = { repository, revisions: [commit.tree], limit: MAX_POINTERS };
  const pointers = new Map<string, LfsPointer>();
  for await (const pointer of eachItem(
    connection.blob.listLFSPointers(request, calls),
    ({ lfsPointers }) => lfsPointers,
  ))
    pointers.set(pointer.oid, {
      oid: Buffer.from(pointer.fileOid).toString(),
      bytes: Number(pointer.fileSize),
    });
  const files: LfsFile[] = [];
  if (pointers.size === 0) return { files, isComplete: true };
  const entries = connection.commit.getTreeEntries(
    {
      ...{ repository, revision: Buffer.from(commit.id), path: Buffer.from('.'), recursive: true },
      paginationParams: { limit: MAX_ENTRIES, pageToken: '' },
    },
    calls,
  );
  const slice = new LoopSlice();
  let seen = 0;
  for await (const { oid, path } of eachItem(entries, (response) => response.entries)) {
    if (slice.isOverAfterItem()) await slice.pause(calls.signal);
    seen++;
    const pointer = pointers.get(oid);
    if (pointer !== undefined && files.push({ ...pointer, path: Buffer.from(path) }) === wanted) break;
  }
  return { files, isComplete: pointers.size < MAX_POINTERS && seen < MAX_ENTRIES };
}

function row({ path, revision }: RepositoryVisit, file: LfsFile, isPresent: boolean | undefined): Part[] {
  const address = repositoryAddress(path, 'files', { rest: file.path, query: { ref: revision } });
  const state = isPresent === true ? lfsDownload(path, file) : 'missing';
  return [
    link(address, file.path.toString()),
    formatBytes(file.bytes),
    html`<code>${file.oid}</code>`,
    isPresent === undefined ? 'Git LFS is off' : state,
  ];
}

/** Returns a link to the content that the server has. */
function lfsDownload(path: string, { oid }: LfsPointer): Html {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return link(`/${encoded}/info/lfs/objects/${oid}`, 'Download');
}

/** Returns what the page of a pointer says about its file. */
export function lfsNote(path: string, pointer: LfsPointer, isPresent: boolean | undefined): Html {
  const state = isPresent === true ? lfsDownload(path, pointer) : 'The server does not have it';
  return html`<p class="notice">A file of Git LFS with ${formatBytes(pointer.bytes)}.
${isPresent === undefined ? 'Git LFS is off on this server' : state}.</p>`;
}
