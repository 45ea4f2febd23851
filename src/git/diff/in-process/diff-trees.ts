import { LoopSlice } from '#base/async/loop-turns';
import { FallBackToGit } from '#git/command/in-process';
import type { ReadOptions } from '#git/objects/object-reader';
import type { GitRepository } from '#git/repository';
import { readSettings } from '#git/repository-files/config-file';
import type { TreePair } from '../diff-outputs.ts';
import type { ChangedPath } from '../parse/raw-line.ts';
import { changedFiles, type Trees } from './changed-files.ts';
import { FileDrivers } from './drivers/file-drivers.ts';
import { ContentsReader } from './file-contents.ts';
import { writePatch, writeRaw, writeStat } from './formats.ts';
import { type ComparedChange, withRenames } from './renames/find-renames.ts';
import { Similarities } from './renames/similarities.ts';
import { TextWriter } from './text-writer.ts';

/** Kind of text about the changed files. */
export type TextFormat = 'raw and patch' | 'patch' | 'numstat';

/** Smallest similarity of renames, in percent, as in the commands of git. */
const MINIMUM: Readonly<Record<TextFormat, number>> = { 'raw and patch': 30, patch: 50, numstat: 50 };

/** Files of a raw comparison. */
export interface RawOptions {
  /** Letters of the listed kinds of change, as for `--diff-filter`; default: all. */
  readonly filter?: string;
  /** How renames are found; default: none are. */
  readonly renames?: RenameRules | undefined;
}

export interface RenameRules {
  /** Smallest similarity, in percent. */
  readonly minimum: number;
  /** Tree whose `.gitattributes` apply. */
  readonly attributes: string;
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
  { filter, renames, ...options }: RawOptions & ReadOptions,
): Promise<Buffer> {
  const changes = await changedFiles(repository, trees, options);
  const writer = new TextWriter();
  for (const change of renames === undefined ? changes : await withRawRenames(changes, renames))
    if (filter === undefined || filter.includes(change.status)) writeRaw(writer, change, 'nul');
  return writer.bytes;

  function withRawRenames(
    all: readonly ChangedPath[],
    { minimum, attributes }: RenameRules,
  ): Promise<ComparedChange[]> {
    return withRenames(all, {
      minimum,
      similarities: async () => {
        // Older versions of git read no attributes for this output.
        const drivers = repository.git.capabilities.attrTree
          ? await FileDrivers.read(repository, all, attributes, options)
          : FileDrivers.none(repository);
        return similaritiesIn(repository, new ContentsReader(repository, options), drivers, options);
      },
    });
  }
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
  const all = await changedFiles(repository, trees, options);
  const writer = new TextWriter();
  if (all.length === 0) return writer.bytes;
  if (format !== 'numstat') requirePlainQuotes(repository, all);
  const drivers = await FileDrivers.read(repository, all, trees.attributes, options);
  const contents = new ContentsReader(repository, options);
  const changes = await withRenames(all, {
    minimum: MINIMUM[format],
    similarities: async () => similaritiesIn(repository, contents, drivers, options),
  });
  if (format === 'raw and patch') {
    for (const change of changes) writeRaw(writer, change, 'lines');
    writer.text('\n');
  }
  const slice = new LoopSlice();
  for (const change of changes) {
    // A file with another type is shown as removed and added, even with the same contents.
    const isRead = format === 'numstat' || change.fromOid !== change.toOid || change.status === 'T';
    const files = isRead ? await contents.read(change, drivers) : undefined;
    await slice.pause(options.signal);
    if (format === 'numstat') writeStat(writer, change, files);
    else await writePatch(writer, { change, files, slice, signal: options.signal });
  }
  return writer.bytes;
}

function similaritiesIn(
  repository: GitRepository,
  contents: ContentsReader,
  drivers: FileDrivers,
  { signal }: ReadOptions,
): Similarities {
  const countsRest = repository.git.capabilities.similarityOfRest;
  return new Similarities({ contents, drivers, countsRest, signal });
}

const FIRST_UNUSUAL = 0x7f;

/** @throws {FallBackToGit} when a setting may change how paths are quoted. */
function requirePlainQuotes(repository: GitRepository, changes: readonly ChangedPath[]): void {
  const isUnusual = (byte: number): boolean => byte >= FIRST_UNUSUAL;
  if (!changes.some(({ fromPath, toPath }) => fromPath.some(isUnusual) || toPath.some(isUnusual))) return;
  const settings = [
    ...repository.git.settings('diff', { repository }),
    ...(readSettings(repository) ?? [{ key: QUOTE_PATH }]),
  ];
  if (settings.some(({ key }) => key.toLowerCase() === QUOTE_PATH))
    throw new FallBackToGit('a setting changes how paths are quoted');
}

const QUOTE_PATH = 'core.quotepath';
