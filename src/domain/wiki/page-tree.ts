import { FILE } from '#base/file-mode';
import { GitalyError } from '#base/gitaly-error';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import { resolveTree } from '#git/trees/resolve-tree';
import { walkTree } from '#git/trees/walk-tree';
import type { Repository } from '#storage/repository';
import { RefusedTreeError, TreeEditor } from '../commit-files/tree-editor.ts';
import { areSamePage, DuplicatePageError, type PageFile, pageFileOf } from './page-file.ts';

/** A change of a page's file. */
export interface PageEdit {
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
 * Writes the tree in which a page is changed.
 *
 * @returns its id.
 * @throws {DuplicatePageError} if the directory has a file of that name, in any case and with any
 *   extension; {GitalyError} FAILED_PRECONDITION for a path that no tree can have: below a file, or
 *   with a name that git refuses.
 */
export async function changePageTree(
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
