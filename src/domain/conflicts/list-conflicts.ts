import { isUtf8 } from 'node:buffer';
import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError, wrapped } from '#base/gitaly-error';
import { EntryFinder } from '#git/trees/find-entry';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { MergeWorkspace } from '../merge/merge-workspace.ts';
import { commitIdOf, type SignalOption, whyNoCommit } from '../revisions/commit-id-of.ts';
import { type ConflictFile, groupByPath, withPaths } from './conflict-file.ts';

/** Revisions of the commits to merge. */
export interface ConflictSides {
  readonly ours: string;
  readonly theirs: string;
}

export interface ListedConflict {
  readonly file: ConflictFile;
  /**
   * Reads the file of the merged tree, with the paths of the sides in its conflict markers. To be
   * called before the iteration ends.
   *
   * @throws {GitalyError} FAILED_PRECONDITION
   */
  read(): Promise<Buffer>;
}

/**
 * Lists the files that a merge of two commits leaves in conflict. Nothing is stored.
 *
 * @throws {GitalyError} FAILED_PRECONDITION `could not lookup 'our' OID: …`;
 *   `couldn't find conflict: …`.
 */
export async function* listConflicts(
  repository: Repository,
  sides: ConflictSides,
  options: SignalOption,
): AsyncGenerator<ListedConflict> {
  const { signal } = options;
  const ours = await resolve(repository, 'our', sides.ours, options);
  const theirs = await resolve(repository, 'their', sides.theirs, options);
  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const merged = await workspace.mergeCommits(ours, theirs).catch(wrapped("couldn't find conflict"));
  const { objects } = quarantine.repository;
  const finder = new EntryFinder(objects, options);
  const tree = Buffer.from(merged.treeOid);
  for (const file of await groupByPath(merged.conflicts, signal)) {
    yield { file, read: () => read(file) };
  }

  async function read({ path, isInOurs, isInTheirs }: ConflictFile): Promise<Buffer> {
    // Renamed on both sides: nothing is at the old path. Gitaly then reads the root directory,
    // which is not text.
    if (!isInOurs && !isInTheirs) throw refused('unsupported encoding');
    const entry = await finder.find(tree, path);
    if (entry === undefined) throw refused('getting file revision: reference not found');
    const object = await objects.readObject(entry.oid, options);
    if (object === undefined) throw refused('getting objectreader: object not found');
    const slice = new LoopSlice(); // a file of 60 MiB takes ten milliseconds
    if (!isUtf8(object.data)) throw refused('unsupported encoding');
    await slice.pause(signal);
    const paths = { ours: isInOurs ? path : NO_BYTES, theirs: isInTheirs ? path : NO_BYTES };
    return await withPaths(object.data, { ours, theirs }, paths, signal);
  }
}

const NO_BYTES = Buffer.alloc(0);

async function resolve(
  repository: Repository,
  whose: 'our' | 'their',
  revision: string,
  options: SignalOption,
): Promise<string> {
  const oid = await commitIdOf(repository, revision, options);
  if (oid === undefined) throw refused(`could not lookup '${whose}' OID: ${whyNoCommit(revision)}`);
  return oid;
}

function refused(message: string): GitalyError {
  return new GitalyError('FAILED_PRECONDITION', message);
}
