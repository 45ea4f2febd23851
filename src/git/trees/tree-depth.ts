import { GitalyError } from '#base/gitaly-error';
import { kindOf } from '../names/entry-kind.ts';
import { parseTreeInTurns, type TreeEntry } from '../objects/parse/parse-tree.ts';
import type { GitRepository } from '../repository.ts';

/**
 * Limit of nested directories for git commands that recurse through trees. With the usual stack of
 * 8 MiB git 2.39 dies of a segmentation fault in `read-tree` and `archive` between 3,000 and 4,000
 * levels and in `merge-tree` between 4,000 and 6,000. Newer versions have the same limit
 * (`core.maxTreeDepth`). A path of that many levels exceeds the limit of every operating system
 * (4,096 bytes).
 */
export const MAX_TREE_DEPTH = 2048;
/** Limit of checked trees. Deeper ones after it are left to git, which must read them as well. */
const MAX_READS = 20_000;
/** Number of concurrent requests for trees. */
const CONCURRENCY = 64;

type ReadTree = (oid: string) => Promise<readonly TreeEntry[]>;

/** The trees at one path in several trees. */
interface Directory {
  /** Ids without duplicates. */
  readonly oids: readonly string[];
  /** True if all trees have a directory there, so that directories equal in all can be skipped. */
  readonly isInAll: boolean;
}

/**
 * Checks that git can recurse through the directories in which some trees differ (in a single tree
 * all directories).
 *
 * @throws {GitalyError} FAILED_PRECONDITION when they are nested too deep; errors of reading.
 */
export async function requireTreeDepth(readTree: ReadTree, trees: readonly string[]): Promise<void> {
  const oids = [...new Set(trees)];
  if (trees.length > 1 && oids.length === 1) return;
  let level: readonly Directory[] = [{ oids, isInAll: trees.length > 1 }];
  let reads = 0;
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_TREE_DEPTH) {
      const text = `directories are nested deeper than ${MAX_TREE_DEPTH} levels`;
      throw new GitalyError('FAILED_PRECONDITION', text);
    }
    /** Directories by their ids, so that a repeated one is checked once. */
    const next = new Map<string, Directory>();
    for (let at = 0; at < level.length; at += CONCURRENCY) {
      const some = level.slice(at, at + CONCURRENCY);
      reads += some.reduce((count, directory) => count + directory.oids.length, 0);
      if (reads > MAX_READS) return;
      const below = await Promise.all(some.map((directory) => directoriesBelow(readTree, directory)));
      for (const directory of below.flat()) {
        next.set(`${directory.isInAll} ${directory.oids.join(' ')}`, directory);
      }
    }
    level = [...next.values()];
  }
}

async function directoriesBelow(readTree: ReadTree, { oids, isInAll }: Directory): Promise<Directory[]> {
  const byName = new Map<string, string[]>();
  for (const entries of await Promise.all(oids.map(readTree))) {
    for (const { name, mode, oid } of entries) {
      if (kindOf(mode) !== 'tree') continue;
      const key = name.toString('latin1');
      const known = byName.get(key);
      if (known === undefined) byName.set(key, [oid]);
      else known.push(oid);
    }
  }
  const below = [...byName.values()].map((all) => ({
    oids: [...new Set(all)],
    isInAll: isInAll && all.length === oids.length,
  }));
  return below.filter((directory) => !directory.isInAll || directory.oids.length > 1);
}

/**
 * Checks the depth of the directories of one commit or tree. git reports any other problem of them.
 *
 * @param revision of a tree, such as `main^{tree}`.
 * @throws {GitalyError} FAILED_PRECONDITION when they are nested too deep; the abort reason.
 */
export async function requireDepthOf(
  { objects, objectFormat }: Pick<GitRepository, 'objects' | 'objectFormat'>,
  revision: string,
  signal: AbortSignal,
): Promise<void> {
  const oidBytes = objectFormat === 'sha1' ? 20 : 32;
  const readTree = async (oid: string) => {
    const object = await objects.readObject(oid, { signal }).catch(() => undefined);
    return object?.type === 'tree' ? await parseTreeInTurns(object.data, oidBytes) : [];
  };
  await requireTreeDepth(readTree, [revision]);
  signal.throwIfAborted();
}
