import { codeOf } from '#base/gitaly-error';
import type { ObjectReader } from '#git/objects/object-reader';
import { flatPaths, type NamedTree } from '#git/trees/flat-paths';
import type { WalkedEntry } from '#git/trees/walked-entry';
import type { SentEntry } from './encode-tree-entries.ts';

const PEEL_TREE = Buffer.from('^{tree}');

/** Options for finding the flat paths of a listing. */
export interface FlatOptions {
  /**
   * Set for pages after the first, whose entries come from the tree of the first page while flat
   * paths are those of the revision as it is now; a directory that is gone meanwhile has its own
   * path.
   */
  readonly revision: Buffer | undefined;
  readonly signal: AbortSignal;
}

type Batches = AsyncIterable<readonly WalkedEntry[]> | Iterable<readonly WalkedEntry[]>;

/** Yields the entries with their flat paths. Only directories have to be read for them. */
export async function* withFlatPaths(
  objects: ObjectReader,
  batches: Batches,
  { revision, signal }: FlatOptions,
): AsyncGenerator<SentEntry[]> {
  const root = revision && (await rootOf(objects, revision, signal));
  const isUnknown = revision !== undefined && root === undefined;
  for await (const batch of batches) {
    const directories = isUnknown
      ? []
      : batch.filter(({ kind }) => kind === 'tree').map((entry) => named(entry, root));
    const flat = flatPaths(objects, directories, { signal });
    const sent: SentEntry[] = [];
    for (const entry of batch) {
      const next = entry.kind === 'tree' ? await flat.next() : undefined;
      sent.push({ entry, flatPath: next === undefined || next.done === true ? entry.path : next.value });
    }
    yield sent;
  }
}

export async function* withoutFlatPaths(batches: Batches): AsyncGenerator<SentEntry[]> {
  for await (const batch of batches) yield batch.map((entry) => ({ entry, flatPath: undefined }));
}

function named({ path, oid }: WalkedEntry, root: string | undefined): NamedTree {
  return { path, tree: root === undefined ? oid : Buffer.concat([Buffer.from(`${root}:`), path]) };
}

/** Returns the id of the revision's current tree. */
async function rootOf(
  objects: ObjectReader,
  revision: Buffer,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return (await objects.info(Buffer.concat([revision, PEEL_TREE]), { signal }))?.oid;
  } catch (error) {
    // A revision that git rejects or finds ambiguous counts as missing; an abort is passed on.
    if (codeOf(error) !== undefined) throw error;
    return undefined;
  }
}
