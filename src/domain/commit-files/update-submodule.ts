import { wrap } from '#base/gitaly-error';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { pathInTree, requireTreePath } from './paths.ts';
import { TreeEditor } from './tree-editor.ts';

export class NoSubmoduleError extends Error {
  override readonly name = 'NoSubmoduleError';

  constructor() {
    super('Invalid submodule path');
  }
}

export class SubmoduleUnchangedError extends Error {
  override readonly name = 'SubmoduleUnchangedError';

  constructor(path: Buffer, commitOid: string) {
    super(`The submodule ${path} is already at ${commitOid}`);
  }
}

export interface SubmoduleUpdate {
  /** Full id of the tree that has the submodule. */
  readonly treeOid: string;
  /** As the client wrote it. */
  readonly path: Buffer;
  /** Need not exist: it is in another repository. */
  readonly commitOid: string;
}

/**
 * Writes a tree in which a submodule is at another commit.
 *
 * @returns the id of the tree.
 * @throws {NoSubmoduleError} {SubmoduleUnchangedError}; an error `modifying tree: …` or
 *   `writing tree: …` for what git refuses.
 */
export async function updateSubmodule(
  { treeOid, path, commitOid }: SubmoduleUpdate,
  options: { readonly repository: Repository; readonly writer: ObjectWriter; readonly signal: AbortSignal },
): Promise<string> {
  const { repository, writer, signal } = options;
  const { objects } = repository;
  const tree = new TreeEditor({ objects, objectFormat: writer.objectFormat, signal }, treeOid);
  const clean = submodulePath(path);
  const entry = await tree.find(clean);
  if (entry?.kind !== 'submodule') throw new NoSubmoduleError();
  if (entry.oid === commitOid) throw new SubmoduleUnchangedError(path, commitOid);
  try {
    await tree.put(clean, { mode: entry.mode, oid: commitOid });
    return await tree.write(writer);
  } catch (error) {
    throw wrap(error, 'writing tree', 'UNKNOWN');
  }
}

function submodulePath(path: Buffer): Buffer {
  const clean = pathInTree(path);
  // A path that leads out of the repository, or seems to, is not one of its submodules.
  if (clean === undefined || clean.toString('latin1').startsWith('..')) throw new NoSubmoduleError();
  if (path.toString('latin1').startsWith('/')) throw new Error('modifying tree: path is absolute');
  try {
    requireTreePath(clean);
    return clean;
  } catch (error) {
    throw wrap(error, 'modifying tree', 'UNKNOWN');
  }
}
