import { GitalyError, wrap } from '#base/gitaly-error';
import { once } from '#base/streams/once';
import { type Attributes, TreeAttributes } from '#git/attributes/tree-attributes';
import { namedBlobs } from '#git/objects/named-blobs';
import type { Repository } from '#storage/repository';
import { allFiles, type CountedFile, changedFileList, type FileList } from './counted-files.ts';
import type { QuestionedFile } from './detector-protocol.ts';
import { LINGUIST_ATTRIBUTES, type LinguistAttributes, LOOKED_AT_BYTES } from './file-language.ts';
import type { KeptLanguageStats } from './kept-stats.ts';
import type { CallDetector } from './language-detector.ts';
import { LanguageStats } from './language-stats.ts';

/** Number of files whose paths are checked together. */
const EXCLUDED_BATCH = 2000;
/** Files whose contents are checked together; a megabyte at most. */
const CONTENT_BATCH = 64;

/** Changed files that are read one by one: reading many needs a git, which is not slower then. */
const FEW_FILES = 64;

/** A file with its attributes. */
interface JudgedFile extends QuestionedFile {
  readonly oid: string;
}

/** A file and the start of its contents. */
interface OpenedFile {
  readonly file: JudgedFile;
  /** Separate buffer of at most {@link LOOKED_AT_BYTES}. */
  readonly content: Uint8Array;
  /** Of the whole file. */
  readonly bytes: number;
}

export interface CountingOptions {
  readonly kept: KeptLanguageStats;
  readonly detector: CallDetector;
  readonly signal: AbortSignal;
}

/**
 * Bytes by language of a commit (or tree). They are kept in the repository with those of each file,
 * so that the next time only what changed has to be read.
 *
 * @throws {GitalyError} without a code: `linguist object iterator: …` when a tree or a file is
 *   missing; CANCELLED, DEADLINE_EXCEEDED.
 */
export async function countLanguages(
  repository: Repository,
  commitId: string,
  { kept, detector, signal }: CountingOptions,
): Promise<ReadonlyMap<string, number>> {
  const before = await kept.load(repository);
  if (before.commitId === commitId) return before.totals;
  try {
    const changes =
      before.commitId === ''
        ? undefined
        : await changedFileList(repository, { from: before.commitId, to: commitId }, signal);
    const continued = changes && (await before.for(commitId, signal));
    const stats = continued ?? LanguageStats.empty(commitId);
    const files = (continued && changes) ?? (await allFiles(repository, commitId, signal));
    await count(repository, files, { stats, detector, signal });
    await kept.save(repository, stats);
    return stats.totals;
  } catch (error) {
    throw wrap(error, 'linguist object iterator', 'UNKNOWN');
  }
}

interface Counting extends Omit<CountingOptions, 'kept'> {
  readonly stats: LanguageStats;
}

async function count(
  repository: Repository,
  { files, gone, attributeFiles }: FileList,
  counting: Counting,
): Promise<void> {
  const { stats, signal } = counting;
  for (const path of gone) stats.drop(path.toString());
  const attributes = await TreeAttributes.read(repository, repository.objects, attributeFiles, { signal });
  const source = (): AsyncGenerator<JudgedFile[]> => included(files, attributes, counting);
  const few = files.length <= FEW_FILES ? (await Array.fromAsync(source())).flat() : undefined;
  const openedHere = few && (await openedInProcess(repository, few, signal));
  if (openedHere !== undefined) {
    if (openedHere.length > 0) await addAll(openedHere, counting);
    return;
  }
  let opened: OpenedFile[] = [];
  const listed = few === undefined ? source : () => once(few);
  for await (const batch of opening(repository, listed, signal)) {
    opened.push(...batch);
    if (opened.length < CONTENT_BATCH) continue;
    await addAll(opened, counting);
    opened = [];
  }
  if (opened.length > 0) await addAll(opened, counting);
}

/** Yields the files that count, as far as paths and attributes decide it. */
async function* included(
  files: readonly CountedFile[],
  attributes: TreeAttributes,
  { stats, detector, signal }: Counting,
): AsyncGenerator<JudgedFile[]> {
  for (let at = 0; at < files.length; at += EXCLUDED_BATCH) {
    const batch = files.slice(at, at + EXCLUDED_BATCH);
    const found = await attributes.of(
      batch.map(({ path }) => path),
      { signal },
    );
    const candidates = batch.map(({ path, oid }, index) => ({
      path: path.toString(),
      oid,
      attributes: linguistAttributes(found[index]),
    }));
    const excluded = await detector.areExcluded(candidates);
    for (const [index, { path }] of candidates.entries()) if (excluded[index] === true) stats.drop(path);
    yield candidates.filter((_, index) => excluded[index] !== true);
  }
}

/** Reads the start of a few files without starting git; `undefined` if it has to. */
async function openedInProcess(
  repository: Repository,
  files: readonly JudgedFile[],
  signal: AbortSignal,
): Promise<OpenedFile[] | undefined> {
  if (files.length === 0) return [];
  const names = files.map(({ oid }) => Buffer.from(oid));
  const blobs = await namedBlobs(repository, names, { isDataWanted: true, limit: 0, signal });
  const byId = new Map(blobs?.map((blob) => [blob.oid as string, blob]));
  return (
    blobs &&
    files.flatMap((file) => {
      const { data, size } = byId.get(file.oid) ?? {};
      if (data === undefined || size === undefined) return [];
      return [{ file, content: new Uint8Array(data.subarray(0, LOOKED_AT_BYTES)), bytes: size }];
    })
  );
}

/** Reads the start of each file. @throws {GitalyError} without a code when one is missing. */
async function* opening(
  { objects }: Repository,
  source: () => AsyncGenerator<JudgedFile[]>,
  signal: AbortSignal,
): AsyncGenerator<OpenedFile[]> {
  let kept: Buffer[] = [];
  let bytes = 0;
  for await (const pieces of objects.readPieces(source, { signal })) {
    const opened: OpenedFile[] = [];
    for (const { item: file, info, data, isLast } of pieces) {
      if (info === undefined) throw new GitalyError('UNKNOWN', 'requesting object: object not found');
      if (bytes < LOOKED_AT_BYTES) kept.push(data.subarray(0, LOOKED_AT_BYTES - bytes));
      bytes += data.length;
      if (!isLast) continue;
      opened.push({ file, content: new Uint8Array(Buffer.concat(kept)), bytes: info.size });
      kept = [];
      bytes = 0;
    }
    yield opened;
  }
}

async function addAll(opened: readonly OpenedFile[], { stats, detector, signal }: Counting): Promise<void> {
  const questions = opened.map(({ file: { path, attributes }, content }) => ({ path, attributes, content }));
  const languages = await detector.languagesOf(questions, signal);
  for (const [index, { file, bytes }] of opened.entries()) {
    const language = languages[index];
    if (language === undefined) stats.drop(file.path);
    else stats.add(file.path, language, bytes);
  }
}

function linguistAttributes(attributes: Attributes | undefined): LinguistAttributes {
  return Object.fromEntries(
    LINGUIST_ATTRIBUTES.flatMap((name) => {
      const state = attributes?.get(name);
      return state === undefined ? [] : [[name, state]];
    }),
  );
}
