import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { FileVersions, TreeAccess } from '#git/merge/merge-in-process';
import { MAX_MERGED_BYTES, mergeLines } from '#git/merge/merge-lines';
import { requirePlainMerge } from '#git/merge/plain-merge';
import { OID_BYTES } from '#git/names/object-id';
import type { ObjectReader } from '#git/objects/object-reader';
import { parseTreeInTurns, type TreeEntry } from '#git/objects/parse/parse-tree';
import { sortEntriesInTurns } from '#git/objects/write/format-tree';
import type { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';

/** Limit of merged files that later merges may read from memory; git reads further ones. */
const MAX_KEPT_BYTES = 8 * 1024 * 1024;

export interface WorkspaceTreesOptions {
  readonly repository: Repository;
  readonly writer: ObjectWriter;
  /** Returns the objects of the repository, and those that git has written. */
  readonly objects: () => ObjectReader;
  readonly signal: AbortSignal;
}

/** Trees and files of a repository, and those that merges have written. */
export class WorkspaceTrees implements TreeAccess {
  readonly #options: WorkspaceTreesOptions;
  readonly #written = new Map<string, readonly TreeEntry[]>();
  readonly #files = new Map<string, Buffer>();
  #keptBytes = 0;
  readonly #slice = new LoopSlice();

  constructor(options: WorkspaceTreesOptions) {
    this.#options = options;
  }

  async readTree(oid: string): Promise<readonly TreeEntry[]> {
    const written = this.#written.get(oid);
    if (written !== undefined) return written;
    const { objects, writer, signal } = this.#options;
    const object = await objects().readObject(oid, { signal }).catch(fallBackOnFailure);
    if (object?.type !== 'tree') throw new FallBackToGit('a tree is missing');
    try {
      return await parseTreeInTurns(object.data, OID_BYTES[writer.objectFormat], signal);
    } catch (error) {
      return fallBackOnFailure(error); // malformed
    }
  }

  async writeTree(entries: readonly TreeEntry[]): Promise<string> {
    const { signal, writer } = this.#options;
    const sorted = await sortEntriesInTurns(entries, signal); // later merges read it as it is stored
    const oid = await writer.writeTree(sorted);
    this.#written.set(oid, sorted);
    return oid;
  }

  async mergeFile({ path, base, ours, theirs }: FileVersions): Promise<string> {
    const { repository, writer, signal } = this.#options;
    await requirePlainMerge(repository, path, { signal });
    const files = {
      base: await this.#readFile(base),
      ours: await this.#readFile(ours),
      theirs: await this.#readFile(theirs),
    };
    await this.#slice.pause(signal);
    const merged = mergeLines(files);
    const oid = await writer.write('blob', merged);
    this.#keptBytes += merged.length;
    if (this.#keptBytes <= MAX_KEPT_BYTES) this.#files.set(oid, merged);
    return oid;
  }

  async #readFile(oid: string): Promise<Buffer> {
    const written = this.#files.get(oid);
    if (written !== undefined) return written;
    const { signal } = this.#options;
    const objects = this.#options.objects();
    const info = await objects.info(oid, { signal }).catch(fallBackOnFailure);
    if (info?.type !== 'blob') throw new FallBackToGit('a file is missing');
    if (info.size > MAX_MERGED_BYTES) throw new FallBackToGit('a file to merge is large');
    const object = await objects.readObject(oid, { signal }).catch(fallBackOnFailure);
    if (object === undefined) throw new FallBackToGit('a file is missing');
    return object.data;
  }
}
