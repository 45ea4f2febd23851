import type { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { DisallowedCharactersError, type NewCommit, writeCommit } from '../commit/write-commit.ts';
import { applyActions, type FileAction } from './file-action.ts';
import { requireParent } from './require-parent.ts';
import { RefusedTreeError, TreeEditor } from './tree-editor.ts';

export interface FilesCommit extends Omit<NewCommit, 'treeOid' | 'parentOids'> {
  /** Full id of the commit to change; `undefined` to start a history. */
  readonly parentOid: string | undefined;
  readonly actions: readonly FileAction[];
}

export interface CommitFilesOptions {
  /** The repository that has the parent. */
  readonly repository: Repository;
  readonly writer: ObjectWriter;
  readonly signal: AbortSignal;
}

/** The author or committer is empty. The text is libgit2's. */
export class EmptySignatureError extends Error {
  override readonly name = 'EmptySignatureError';

  constructor(options?: ErrorOptions) {
    super('commit: failed to parse signature - Signature cannot have an empty name or email', options);
  }
}

/**
 * Makes a commit that changes files of its parent.
 *
 * @returns its id; it is on disk when the writer has finished.
 * @throws {IndexError} {InvalidPathError} for actions that do not fit the tree;
 *   {EmptySignatureError}; {Error} `writing tree writing tree: exit status 128` for names that git
 *   refuses; what `writeCommit` throws.
 */
export async function commitFiles(commit: FilesCommit, options: CommitFilesOptions): Promise<string> {
  const { parentOid, author } = commit;
  const treeOid = await changedTree(commit, options);
  if (author.name.length === 0 || author.email.length === 0) throw new EmptySignatureError();
  if (parentOid !== undefined) await requireParent(options.repository, parentOid, options.signal);
  try {
    const parentOids = parentOid === undefined ? [] : [parentOid];
    return await writeCommit(options.writer, { ...commit, treeOid, parentOids });
  } catch (error) {
    throw error instanceof DisallowedCharactersError ? new EmptySignatureError({ cause: error }) : error;
  }
}

async function changedTree(
  { parentOid, actions }: FilesCommit,
  options: CommitFilesOptions,
): Promise<string> {
  const { repository, writer, signal } = options;
  const { objects } = repository;
  const before = parentOid === undefined ? undefined : await objects.info(`${parentOid}^{tree}`, { signal });
  if (parentOid !== undefined && before === undefined)
    throw new Error('getting tree id: reference not found');
  const tree = new TreeEditor({ objects, objectFormat: writer.objectFormat, signal }, before?.oid);
  try {
    await applyActions(tree, actions, signal);
    return await tree.write(writer);
  } catch (error) {
    // Without a colon, as in Gitaly.
    throw error instanceof RefusedTreeError
      ? new Error(`writing tree ${error.message}`, { cause: error })
      : error;
  }
}
