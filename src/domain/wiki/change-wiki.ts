import { FILE } from '#base/file-mode';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { ZERO_OID } from '#git/names/object-id';
import { ObjectWriter } from '#git/objects/write/write-objects';
import { resolveTree } from '#git/trees/resolve-tree';
import { walkTree } from '#git/trees/walk-tree';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { type Person, signatureOf } from '../commit/signature.ts';
import { writeCommit } from '../commit/write-commit.ts';
import { RefusedTreeError, TreeEditor } from '../commit-files/tree-editor.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { NewValue, UpdateContext } from '../ref-update/update-with-hooks.ts';
import { areSamePage, DuplicatePageError, fileForPage, type PageFile, pageFileOf } from './page-file.ts';
import { findPage, findVersion, type WikiPage, type WikiVersion } from './wiki-pages.ts';

/** A page as it shall be. */
export interface WikiPageChange {
  /** With the directories of the page. */
  readonly title: Uint8Array;
  readonly format: string;
  /** Carriage returns are removed from it. */
  readonly content: AsyncIterable<Uint8Array>;
  /** Author and committer. */
  readonly person: Person;
  readonly message: Uint8Array;
  /** Path of the page to change, with or without extension; `undefined` for a new page. */
  readonly pagePath: Uint8Array | undefined;
}

const CARRIAGE_RETURN = 0x0d;

/** A change of a page's file. */
interface PageEdit {
  /** The tree to change; `undefined` for an empty one. */
  readonly treeOid: string | undefined;
  readonly file: PageFile;
  readonly blobOid: string;
  /** Path of the file that the page has now; `undefined` for a new page. */
  readonly replaced: Buffer | undefined;
}

interface ChangeOptions {
  readonly writer: ObjectWriter;
  readonly signal: AbortSignal;
}

/**
 * Commits a page to the default branch, which may be new.
 *
 * @throws {DuplicatePageError} {UpdateFailedError}; {GitalyError} NOT_FOUND with the path for a
 *   page to change that does not exist, INVALID_ARGUMENT `invalid title or format`; as
 *   `signatureOf`, `writeCommit` and `changeTree`.
 */
export async function commitWikiPage(
  repository: Repository,
  change: WikiPageChange,
  context: UpdateContext,
): Promise<void> {
  await updateFromQuarantine(
    repository,
    (quarantine) => makeCommit(repository, quarantine, change, context),
    context,
  );
}

async function makeCommit(
  repository: Repository,
  quarantine: Quarantine,
  change: WikiPageChange,
  { signal }: UpdateContext,
): Promise<NewValue> {
  await using writer = new ObjectWriter(quarantine.repository, repository.objectFormat);
  // First of all: clients send everything before they read an error.
  const blobOid = await writer.writeBlob(withoutCarriageReturns(change.content));
  const branch = await repository.refs.defaultBranch({ signal });
  const version = branch && (await findVersion(repository, branch, { signal }));
  const { file, replaced } = await targetOf(repository, version, change, signal);
  const before = version?.commit;
  const edit = { treeOid: before?.treeOid, file, blobOid, replaced: replaced?.path };
  const treeOid = await changePageTree(repository, edit, { writer, signal });
  const author = signatureOf(change.person, undefined);
  const parentOids = before === undefined ? [] : [before.oid];
  const commit = { treeOid, parentOids, author, committer: author, message: change.message };
  const newOid = await writeCommit(writer, commit);
  await writer.finish();
  return {
    reference: branch ?? (await repository.refs.headTarget({ signal })),
    oldOid: before?.oid ?? ZERO_OID[repository.objectFormat],
    newOid,
  };
}

async function* withoutCarriageReturns(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of content)
    yield piece.includes(CARRIAGE_RETURN) ? piece.filter((byte) => byte !== CARRIAGE_RETURN) : piece;
}

interface Target {
  readonly file: PageFile;
  /** The page as it is now. */
  readonly replaced: WikiPage | undefined;
}

async function targetOf(
  repository: Repository,
  version: WikiVersion | undefined,
  { title, format, pagePath }: WikiPageChange,
  signal: AbortSignal,
): Promise<Target> {
  const file = fileForPage(title, format);
  if (file === undefined) throw invalidArgument('invalid title or format');
  if (pagePath === undefined) return { file, replaced: undefined };
  const wanted = { title: withoutExtension(pagePath), directory: Buffer.alloc(0) };
  const page = version && (await findPage(repository, version, wanted, { signal }));
  if (page === undefined) throw new GitalyError('NOT_FOUND', Buffer.from(pagePath).toString());
  const isInPlace = page.format === format && page.stem.equals(title);
  return { file: isInPlace ? pageFileOf(page.path) : file, replaced: page };
}

/** Removes what Ruby's `File.extname` finds: all from the last dot, unless the name begins with it. */
function withoutExtension(path: Uint8Array): Buffer {
  return Buffer.from(
    Buffer.from(path)
      .toString('latin1')
      .replace(/(?<=[^/])\.[^./]*$/, ''),
    'latin1',
  );
}

/**
 * Writes the tree in which a page is changed.
 *
 * @returns its id.
 * @throws {DuplicatePageError} if the directory has a file of that name, in any case and with any
 *   extension; {GitalyError} FAILED_PRECONDITION for a path that no tree can have: below a file, or
 *   with a name that git refuses.
 */
async function changePageTree(
  repository: Repository,
  { treeOid, file, blobOid, replaced }: PageEdit,
  { writer, signal }: ChangeOptions,
): Promise<string> {
  const { objects } = repository;
  const isSame = replaced !== undefined && isOtherNameOf(pageFileOf(replaced), file);
  if (treeOid !== undefined && !isSame) await refuseDuplicate(repository, treeOid, file, signal);
  const tree = new TreeEditor({ objects, objectFormat: writer.objectFormat, signal }, treeOid);
  try {
    if (replaced !== undefined) await tree.remove(replaced);
    await tree.put(file.path, { mode: FILE, oid: blobOid });
    return await tree.write(writer);
  } catch (error) {
    if (!(error instanceof RefusedTreeError)) throw error;
    throw new GitalyError('FAILED_PRECONDITION', 'the page has an unusable path', { cause: error });
  }
}

function isOtherNameOf(one: PageFile, other: PageFile): boolean {
  return one.directory.equals(other.directory) && areSamePage(one.fileName, other.fileName);
}

async function refuseDuplicate(
  repository: Repository,
  treeOid: string,
  file: PageFile,
  signal: AbortSignal,
): Promise<void> {
  const name = Buffer.concat([Buffer.from(`${treeOid}:`), file.directory]);
  const directory = await resolveTree(repository, file.directory.length === 0 ? Buffer.from(treeOid) : name, {
    signal,
  });
  if (directory.kind !== 'tree') return;
  for await (const entries of walkTree(repository.objects, directory.tree, { recursive: false, signal })) {
    const existing = entries.find(({ kind, path }) => kind === 'blob' && areSamePage(path, file.fileName));
    if (existing !== undefined) throw new DuplicatePageError(file, existing.path);
  }
}
