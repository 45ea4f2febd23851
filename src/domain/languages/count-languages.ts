import { GitalyError, wrap } from '#base/gitaly-error';
import { type Attributes, TreeAttributes } from '#git/attributes/tree-attributes';
import type { Repository } from '#storage/repository';
import { allFiles, type CountedFile, changedFiles, type FileList } from './counted-files.ts';
import type { QuestionedFile } from './detector-protocol.ts';
import { LINGUIST_ATTRIBUTES, type LinguistAttributes, LOOKED_AT_BYTES } from './file-language.ts';
import type { CallDetector } from './language-detector.ts';
import { LanguageStats } from './language-stats.ts';

/** Files whose place is checked together. */
const EXCLUDED_BATCH = 2000;
/** Files whose contents are checked together; a megabyte at most. */
const CONTENT_BATCH = 64;

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
  { detector, signal }: { readonly detector: CallDetector; readonly signal: AbortSignal },
): Promise<ReadonlyMap<string, number>> {
  const before = await LanguageStats.load(repository);
  if (before.commitId === commitId) return before.totals;
  try {
    const changes =
      before.commitId === ''
        ? undefined
        : await changedFiles(repository, { from: before.commitId, to: commitId }, signal);
    const stats = changes === undefined ? LanguageStats.empty() : before;
    await count(repository, changes ?? (await allFiles(repository, commitId, signal)), {
      stats,
      detector,
      signal,
    });
    await stats.save(repository, commitId);
    return stats.totals;
  } catch (error) {
    throw wrap(error, 'linguist object iterator', 'UNKNOWN');
  }
}

interface Counting {
  readonly stats: LanguageStats;
  readonly detector: CallDetector;
  readonly signal: AbortSignal;
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
  let opened: OpenedFile[] = [];
  for await (const batch of opening(repository, source, signal)) {
    opened.push(...batch);
    if (opened.length < CONTENT_BATCH) continue;
    await addAll(opened, counting);
    opened = [];
  }
  if (opened.length > 0) await addAll(opened, counting);
}

/** Yields the files that count, as far as their paths and attributes decide it. */
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
