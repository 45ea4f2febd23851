import { LoopSlice } from '#base/async/loop-turns';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import type { TreePair } from '../diff-outputs.ts';
import { changedFiles, type Trees } from './changed-files.ts';
import { FileDrivers } from './drivers/file-drivers.ts';
import { withExactRenames } from './exact-renames.ts';
import { ContentsReader } from './file-contents.ts';
import { writePatch, writeRaw, writeStat } from './formats.ts';
import { requirePlainQuotes } from './plain-quotes.ts';
import { TextWriter } from './text-writer.ts';

/** Kind of text about the changed files. */
export type TextFormat = 'raw and patch' | 'patch' | 'numstat';

/** Files of a raw comparison. */
export interface RawOptions {
  /** Letters of the listed kinds of change, as for `--diff-filter`; default: all. */
  readonly filter?: string;
  readonly findRenames: boolean;
}

/**
 * Compares two trees: returns the output of `git diff --raw -z --no-abbrev` with renames, or
 * without them.
 *
 * @throws {FallBackToGit} when only git can compare them; the signal's reason when it is aborted.
 */
export async function rawOfTrees(
  repository: GitRepository,
  trees: Trees,
  { filter, findRenames, ...options }: RawOptions & ReadOptions,
): Promise<Buffer> {
  const changes = await changedFiles(repository, trees, options);
  const writer = new TextWriter();
  for (const change of findRenames ? withExactRenames(changes) : changes)
    if (filter === undefined || filter.includes(change.status)) writeRaw(writer, change, 'nul');
  return writer.bytes;
}

/**
 * Compares the files of two trees: returns the output of `git diff --full-index`, with the raw
 * lines before it or without, or that of `git diff --numstat -z`. Pauses for the event loop between
 * files.
 *
 * @throws as {@link rawOfTrees}.
 */
export async function diffOfTrees(
  repository: GitRepository,
  trees: TreePair,
  { format, ...options }: { readonly format: TextFormat } & ReadOptions,
): Promise<Buffer> {
  const changes = withExactRenames(await changedFiles(repository, trees, options));
  const writer = new TextWriter();
  if (changes.length === 0) return writer.bytes;
  const drivers = await FileDrivers.read(repository, changes, trees.attributes, options);
  if (format !== 'numstat') requirePlainQuotes(repository, changes);
  if (format === 'raw and patch') {
    for (const change of changes) writeRaw(writer, change, 'lines');
    writer.text('\n');
  }
  const contents = new ContentsReader(repository, drivers, options);
  const slice = new LoopSlice();
  for (const change of changes) {
    // A file with another type is shown as removed and added, even with the same contents.
    const isRead = format === 'numstat' || change.fromOid !== change.toOid || change.status === 'T';
    const files = isRead ? await contents.read(change) : undefined;
    await slice.pause(options.signal);
    if (format === 'numstat') writeStat(writer, change, files);
    else writePatch(writer, change, files);
  }
  return writer.bytes;
}
