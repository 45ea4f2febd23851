import { typeOf } from '#base/file-mode';
import { FallBackToGit } from '#git/command/in-process';
import { EMPTY_TREE, oidBytesOf, zeroOidLike } from '#git/names/object-id';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import { areEqual, orderOf, skipEqual, TreeEntries } from '#git/trees/tree-entries';
import type { ChangedPath, ChangeStatus } from '../parse/raw-line.ts';

/** Limit of trees that are read. */
const MAX_TREES = 500;
/** Limit of changed files: git compares more in less time. */
export const MAX_CHANGES = 200;

const SLASH = 0x2f;
const EMPTY_TREES: ReadonlySet<string> = new Set(Object.values(EMPTY_TREE));

/** Ids of trees. */
export interface Trees {
  readonly before: string;
  readonly after: string;
}

/**
 * Lists the files that differ between two trees, in the order of `git diff-tree -r`, without
 * renames.
 *
 * @throws {FallBackToGit} for many changes, and trees that cannot be read; the signal's reason when
 *   it is aborted.
 */
export async function changedFiles(
  repository: GitRepository,
  { before, after }: Trees,
  options: ReadOptions,
): Promise<ChangedPath[]> {
  const comparison = new TreeComparison(repository, options);
  if (before !== after) await comparison.compare(before, after, Buffer.alloc(0));
  return comparison.changes;
}

class TreeComparison {
  readonly changes: ChangedPath[] = [];
  readonly #repository: GitRepository;
  readonly #options: ReadOptions;
  #reads = 0;

  constructor(repository: GitRepository, options: ReadOptions) {
    this.#repository = repository;
    this.#options = options;
  }

  /** Compares directories; `undefined` for one that does not exist. @param path With a slash at its end. */
  async compare(before: string | undefined, after: string | undefined, path: Buffer): Promise<void> {
    const oidBytes = oidBytesOf(before ?? after ?? '');
    const old = new TreeEntries(await this.#read(before), oidBytes);
    const now = new TreeEntries(await this.#read(after), oidBytes);
    while (!old.isAtEnd || !now.isAtEnd) {
      const order = orderOf(old, now);
      if (order === 0 && areEqual(old, now)) {
        skipEqual(old, now);
        continue;
      }
      const [left, right] = [order <= 0 ? old : undefined, order >= 0 ? now : undefined];
      await this.#add(left, right, path);
      left?.next();
      right?.next();
    }
  }

  /** Adds a change of an entry, or the changes below it. */
  async #add(old: TreeEntries | undefined, now: TreeEntries | undefined, directory: Buffer): Promise<void> {
    const cursor = (now ?? old)?.cursor;
    if (cursor === undefined) return;
    const name = cursor.name();
    if (name.includes(SLASH)) throw new FallBackToGit('a tree is malformed');
    const path = Buffer.concat([directory, name]);
    const [fromOid, toOid] = [old?.cursor.oid(), now?.cursor.oid()];
    if ((old ?? now)?.isTree === true)
      return await this.compare(fromOid, toOid, Buffer.concat([path, Buffer.of(SLASH)]));
    if (this.changes.length === MAX_CHANGES) throw new FallBackToGit('many files have changed');
    const zero = zeroOidLike(fromOid ?? toOid ?? '');
    const [oldMode, newMode] = [old?.mode ?? 0, now?.mode ?? 0];
    const status = statusOf(oldMode, newMode);
    this.changes.push({
      status,
      oldMode,
      newMode,
      fromOid: fromOid ?? zero,
      toOid: toOid ?? zero,
      fromPath: path,
      toPath: path,
    });
  }

  async #read(oid: string | undefined): Promise<Buffer> {
    if (oid === undefined || EMPTY_TREES.has(oid)) return Buffer.alloc(0);
    if (this.#reads++ === MAX_TREES) throw new FallBackToGit('very many trees have to be read');
    const object = await this.#repository.objects.readInProcess(oid, this.#options);
    if (object.type !== 'tree') throw new FallBackToGit('a tree is missing');
    return object.data;
  }
}

function statusOf(oldMode: number, newMode: number): ChangeStatus {
  if (oldMode === 0) return 'A';
  if (newMode === 0) return 'D';
  return typeOf(oldMode) === typeOf(newMode) ? 'M' : 'T';
}
