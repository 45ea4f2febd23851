import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
import { GitalyError, wrapped } from '#base/gitaly-error';
import { once } from '#base/streams/once';
import type { Ident } from '#git/objects/write/format-ident';
import type { Repository } from '#storage/repository';
import { writeCommit } from '../commit/write-commit.ts';
import type { WriteFile } from '../commit-files/receive-actions.ts';
import { TreeEditor } from '../commit-files/tree-editor.ts';
import { fileWriter } from '../commit-files/write-file.ts';
import type { MergeWorkspace } from '../merge/merge-workspace.ts';
import { type ConflictFile, groupByPath, withPaths } from './conflict-file.ts';
import type { Resolution } from './resolution-reader.ts';
import { ResolutionError, resolveFile } from './resolve-file.ts';

export interface ResolvedMerge {
  /** Full ids of the commits. */
  readonly ours: string;
  readonly theirs: string;
  readonly resolutions: readonly Resolution[];
  readonly author: Ident;
  readonly message: Uint8Array;
}

/**
 * Merges two commits whose conflicts a user has resolved. Without conflicts it makes an ordinary
 * merge.
 *
 * @param target the repository to which the workspace writes.
 * @returns the id of the commit; it is on disk when the workspace's writer has finished.
 * @throws {ResolutionError} when a conflict is not resolved; {GitalyError} for invalid resolutions;
 *   the errors of `writeCommit`, prefixed with `writing commit: `.
 */
export async function resolveConflicts(
  workspace: MergeWorkspace,
  target: Repository,
  merge: ResolvedMerge,
): Promise<string> {
  const { ours, theirs, author, message } = merge;
  const merged = await workspace.mergeCommits(ours, theirs).catch(wrapped('merge-tree'));
  let { treeOid } = merged;
  if (!merged.isClean) {
    const resolving = new Resolving(workspace, target, merge, treeOid);
    await resolving.resolve(await groupByPath(merged.conflicts, workspace.signal));
    treeOid = await resolving.write();
  }
  return await writeCommit(workspace.writer, {
    treeOid,
    parentOids: [ours, theirs],
    author,
    committer: author,
    message,
  }).catch(wrapped('writing commit'));
}

/** One merge with conflicts, file by file. */
class Resolving {
  readonly #workspace: MergeWorkspace;
  readonly #target: Repository;
  readonly #merge: ResolvedMerge;
  readonly #tree: TreeEditor;
  /** Resolved contents by blob id: a file may be resolved twice. */
  readonly #resolved = new Map<string, Buffer>();

  constructor(workspace: MergeWorkspace, target: Repository, merge: ResolvedMerge, treeOid: string) {
    this.#workspace = workspace;
    this.#target = target;
    this.#merge = merge;
    const { writer, signal } = workspace;
    // The merged tree is in the quarantine.
    this.#tree = new TreeEditor(
      { objects: target.objects, objectFormat: writer.objectFormat, signal },
      treeOid,
    );
  }

  async resolve(conflicts: readonly ConflictFile[]): Promise<void> {
    const { writer, signal } = this.#workspace;
    const writeFile = await fileWriter(this.#target, writer, signal);
    const open = new Map<string, Buffer>();
    await eachInTurn(conflicts, ({ path }) => void open.set(path.toString('latin1'), path), signal);
    const resolved = new Set<string>();
    const slice = new LoopSlice();
    for (const resolution of this.#merge.resolutions) {
      const path = Buffer.from(resolution.newPath);
      const key = path.toString('latin1');
      // The error text of Gitaly's former Ruby server.
      if (!open.has(key) && !resolved.has(key))
        throw internal("NoMethodError: undefined method `resolve_lines' for nil:NilClass");
      open.delete(key);
      resolved.add(key);
      await slice.pause(signal);
      await this.#resolveFile(path, resolution, writeFile);
    }
    const [missing] = open.values();
    if (missing !== undefined)
      throw new ResolutionError(`Missing resolutions for the following files: ${missing}`);
  }

  async write(): Promise<string> {
    return await this.#tree.write(this.#workspace.writer).catch(wrapped('write tree'));
  }

  async #resolveFile(path: Buffer, resolution: Resolution, writeFile: WriteFile): Promise<void> {
    const { ours, theirs } = this.#merge;
    const entry = await this.#tree.find(path);
    if (entry === undefined) throw internal('path not found in merged-tree: entry not found');
    if (entry.kind !== 'blob') throw internal('entry should be of type blob');
    const content = this.#resolved.get(entry.oid) ?? (await this.#contentOf(this.#target, entry.oid));
    if (resolution.content !== '') {
      const paths = { ours: Buffer.from(resolution.oldPath), theirs: path };
      const unresolved = await withPaths(content, { ours, theirs }, paths, this.#workspace.signal);
      if (unresolved.equals(Buffer.from(resolution.content))) {
        throw new ResolutionError(`Resolved content has no changes for file ${path}`);
      }
    }
    // The merge drops the last line feed; our side shows whether there was one.
    const before = await this.#contentOf(this.#workspace.repository, `${ours}:${resolution.oldPath}`);
    const endsWithLineFeed = before.at(-1) === 0x0a;
    const conflicted = { path, content, ours, theirs, endsWithLineFeed };
    const resolved = await resolveFile(conflicted, resolution, this.#workspace.signal);
    const name = path.subarray(path.lastIndexOf(0x2f) + 1);
    const oid = await writeFile(name, once(resolved));
    this.#resolved.set(oid, resolved);
    await this.#tree.put(path, { mode: entry.mode, oid });
  }

  async #contentOf(repository: Repository, name: string): Promise<Buffer> {
    const object = await repository.objects.readObject(name, { signal: this.#workspace.signal });
    if (object === undefined) throw internal('retrieving object: object not found');
    return object.data;
  }
}

function internal(message: string): GitalyError {
  return new GitalyError('INTERNAL', message);
}
