import { LoopSlice } from '#base/async/loop-turns';
import { EXECUTABLE, FILE } from '#base/file-mode';
import { quote } from '#base/go/quote';
import { IndexError } from './index-error.ts';
import { requireTreePath, TreePathError } from './paths.ts';
import type { EditedEntry, TreeEditor } from './tree-editor.ts';

/** A change of one path. Paths are clean (see `cleanActionPath`); the blobs have been written. */
export type FileAction =
  | {
      readonly kind: 'create';
      readonly path: Buffer;
      readonly blobOid: string;
      readonly isExecutable: boolean;
    }
  /** git stores no empty directories: the blob is that of an empty `.gitkeep`. */
  | { readonly kind: 'create-directory'; readonly path: Buffer; readonly blobOid: string }
  | { readonly kind: 'update'; readonly path: Buffer; readonly blobOid: string }
  /** Without a blob, the file keeps its content. */
  | {
      readonly kind: 'move';
      readonly path: Buffer;
      readonly previousPath: Buffer;
      readonly blobOid: string | undefined;
    }
  | { readonly kind: 'delete'; readonly path: Buffer }
  | { readonly kind: 'change-mode'; readonly path: Buffer; readonly isExecutable: boolean };

const KEEP = Buffer.from('/.gitkeep');

/** No entry can be at the path. The message is for clients. */
export class InvalidPathError extends Error {
  override readonly name = 'InvalidPathError';

  constructor(path: Buffer, options: ErrorOptions) {
    super(`invalid path: '${path}'`, options);
  }
}

/**
 * Applies actions to a tree, one after the other and in slices of the event loop; each sees the
 * results of the earlier ones.
 *
 * @throws {IndexError} {InvalidPathError} {RefusedTreeError}; the reason of the signal. The tree
 *   must not be used then.
 */
export async function applyActions(
  tree: TreeEditor,
  actions: Iterable<FileAction>,
  signal?: AbortSignal,
): Promise<void> {
  const context: Context = { tree, moved: new Set() };
  const slice = new LoopSlice();
  for (const action of actions) {
    if (slice.isOverAfterItem()) await slice.pause(signal);
    try {
      await apply(context, action);
    } catch (error) {
      if (!(error instanceof TreePathError)) throw error;
      throw new InvalidPathError(action.path, { cause: error });
    }
  }
}

interface Context {
  readonly tree: TreeEditor;
  /**
   * The paths that files were moved to. These cannot be moved again and may be overwritten, as in
   * Gitaly.
   */
  readonly moved: Set<string>;
}

async function apply(context: Context, action: FileAction): Promise<void> {
  const { tree } = context;
  const { path } = action;
  switch (action.kind) {
    case 'create':
      await putFile(context, path, { mode: action.isExecutable ? EXECUTABLE : FILE, oid: action.blobOid });
      return;
    case 'create-directory':
      await createDirectory(tree, path, action.blobOid);
      return;
    case 'update': {
      const { mode } = await requireFile(tree, path);
      await tree.put(path, { mode, oid: action.blobOid });
      return;
    }
    case 'change-mode': {
      requireTreePath(path);
      const { mode, oid, kind } = await requireEntry(tree, path);
      if (action.isExecutable && kind !== 'blob') throw new IndexError('file not found', path);
      if (action.isExecutable || mode === EXECUTABLE)
        await tree.put(path, { mode: action.isExecutable ? EXECUTABLE : FILE, oid });
      return;
    }
    case 'delete':
      requireTreePath(path);
      if (!(await tree.remove(path))) throw new IndexError('file not found', path);
      return;
    case 'move':
      await move(context, action);
  }
}

/**
 * Creates a file. It replaces a directory, a submodule, or a file that was moved there; another
 * file is an error.
 */
async function putFile(
  { tree, moved }: Context,
  path: Buffer,
  entry: { mode: number; oid: string },
): Promise<void> {
  requireTreePath(path);
  const key = path.toString('latin1');
  if ((await tree.find(path))?.kind === 'blob' && !moved.has(key)) throw new IndexError('file exists', path);
  await tree.put(path, entry);
  moved.delete(key);
}

async function createDirectory(tree: TreeEditor, path: Buffer, blobOid: string): Promise<void> {
  const isRoot = path.equals(Buffer.from('.'));
  const existing = isRoot ? 'tree' : (await tree.find(path))?.kind;
  if (existing === 'blob') throw new IndexError('file exists', path);
  if (existing !== undefined) throw new IndexError('directory exists', path);
  requireTreePath(path);
  const keep = Buffer.concat([path, KEEP]);
  if (keep.includes(0)) {
    const reason = `executing hash-object: detected null byte in command argument ${quote(keep)}`;
    throw new Error(`performing action operations.createDirectory: ${reason}`);
  }
  await tree.put(keep, { mode: FILE, oid: blobOid });
}

async function move(context: Context, action: FileAction & { kind: 'move' }): Promise<void> {
  const { tree, moved } = context;
  const { path, previousPath, blobOid } = action;
  const found = await tree.find(previousPath);
  if (found?.kind !== 'blob' || moved.has(previousPath.toString('latin1')))
    throw new IndexError('file not found', previousPath);
  requireTreePath(previousPath);
  await tree.remove(previousPath);
  await putFile(context, path, { mode: found.mode, oid: blobOid ?? found.oid });
  moved.add(path.toString('latin1'));
}

async function requireEntry(tree: TreeEditor, path: Buffer): Promise<EditedEntry> {
  const entry = await tree.find(path);
  if (entry === undefined) throw new IndexError('file not found', path);
  return entry;
}

/**
 * Returns the file or the link at a path. New contents for a directory or a submodule, which Gitaly
 * accepts, would make an unreadable tree.
 */
async function requireFile(tree: TreeEditor, path: Buffer): Promise<EditedEntry> {
  requireTreePath(path);
  const entry = await requireEntry(tree, path);
  if (entry.kind !== 'blob') throw new IndexError('file not found', path);
  return entry;
}
