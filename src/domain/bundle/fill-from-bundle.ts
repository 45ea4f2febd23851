import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { lineBatches } from '#base/streams/line-batches';
import { collectOutput } from '#git/command/collect-output';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { PACKED_REFS_HEADER } from '#git/refs/storage/files/packed-refs';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { Repository } from '#storage/repository';
import { inRefTransaction } from '../ref-update/update-reference.ts';
import { type BundleHeader, type BundleReference, isBelowRefs } from './bundle-header.ts';
import { feedLines } from './feed-lines.ts';

export interface FillFromBundleOptions {
  readonly header: BundleHeader;
  /** The bundle; its descriptor is at the pack. */
  readonly file: FileHandle;
  readonly signal: AbortSignal;
}

/** git prints the name of the pack. */
const MAX_OUTPUT_BYTES = 1024;
/** The objects may be in a visible repository, which the draft borrows them to. */
const FLUSHED = { key: 'core.fsync', value: 'objects,derived-metadata,reference' };
const REVERSE_INDEX = { key: 'pack.writeReverseIndex', value: 'true' };

const FILE_MODE = 0o644;
const BRANCHES = Buffer.from('refs/heads/');
const PEEL = Buffer.from('^{}');
const COMMIT = 'commit';

/**
 * Copies all objects and references of a bundle into a repository without references that is not
 * in use: what `git fetch` does, in a fraction of its time if there are many references. It
 * would read the header with a system call for each byte, and write a file for each reference.
 *
 * @returns false if git has to fetch: to explain its refusal, or because the bundle is unusual. The
 *   repository has no references then.
 */
export async function fillFromBundle(
  draft: Repository,
  { header, file, signal }: FillFromBundleOptions,
): Promise<boolean> {
  if (!(await isUsual(draft, header, signal)) || !(await hasNoReferences(draft, signal))) return false;
  return await unlessRefused(signal, async () => {
    await indexPack(draft, file, signal);
    await writeReferences(draft, header, signal);
  });
}

/**
 * Writes all references of a bundle into a repository that has its objects and is not in use.
 * Those that it has are replaced.
 *
 * @returns false if git has to write them; the references are then as before.
 */
export async function fillReferences(
  draft: Repository,
  { header, signal }: Pick<FillFromBundleOptions, 'header' | 'signal'>,
): Promise<boolean> {
  if (!(await isUsual(draft, header, signal))) return false;
  return await unlessRefused(signal, () => writeReferences(draft, header, signal));
}

async function isUsual(draft: Repository, header: BundleHeader, signal: AbortSignal): Promise<boolean> {
  if (!header.isSelfContained || draft.objectFormat !== header.objectFormat) return false;
  return await header.isPlain({ signal });
}

/** Runs a step. @returns false if git or the contents of the bundle refuse it. */
async function unlessRefused(signal: AbortSignal, step: () => Promise<void>): Promise<boolean> {
  try {
    await step();
    return true;
  } catch (error) {
    const isRefusal =
      error instanceof GitExitError || error instanceof RefUpdateError || error instanceof MissingTargetError;
    if (!isRefusal || signal.aborted) throw error;
    return false;
  }
}

async function writeReferences(draft: Repository, header: BundleHeader, signal: AbortSignal): Promise<void> {
  await requireConnected(draft, header, signal);
  if (draft.referenceBackend === 'reftable') await updateReferences(draft, header, signal);
  else await writePackedReferences(draft, header, { signal });
}

/** Reports whether a repository has no references, HEAD apart. */
export async function hasNoReferences(repository: Repository, signal: AbortSignal): Promise<boolean> {
  const query = { patterns: [Buffer.from('refs/')], limit: 1 };
  for await (const batch of repository.refs.list(query, { signal })) if (batch.length > 0) return false;
  return true;
}

async function indexPack(draft: Repository, { fd }: FileHandle, signal: AbortSignal): Promise<void> {
  const command = gitCommand('index-pack', { options: ['--stdin', '--fix-thin'].map(flag) });
  await draft.spawnTurn(signal);
  const process = draft.spawn(command, { stdin: fd, signal, config: [FLUSHED, REVERSE_INDEX] });
  await collectOutput(process, { maxBytes: MAX_OUTPUT_BYTES });
}

/** Checks that all objects are there that the references need, as git's fetch does. */
async function requireConnected(draft: Repository, header: BundleHeader, signal: AbortSignal): Promise<void> {
  const options = ['--objects', '--stdin', '--not', '--all', '--quiet'].map(flag);
  await draft.spawnTurn(signal);
  const process = draft.spawn(gitCommand('rev-list', { options }), { stdin: 'pipe', signal });
  const feeding = feedLines(process, header, ({ oid }) => oid);
  await collectOutput(process, { maxBytes: MAX_OUTPUT_BYTES });
  await feeding;
}

async function updateReferences(draft: Repository, header: BundleHeader, signal: AbortSignal): Promise<void> {
  const slice = new LoopSlice();
  const options = { hooks: undefined, signal, noDereference: true };
  await inRefTransaction(draft, options, async (updates) => {
    for (const reference of header.references()) {
      await slice.pause(signal);
      if (!isBelowRefs(reference)) continue;
      await updates.update(reference.name, { newOid: reference.oid.toString('latin1') });
    }
  });
}

/** An object is missing, or a branch would have another object than a commit. */
class MissingTargetError extends Error {
  override readonly name = 'MissingObjectError';
}

/**
 * Writes the references of a bundle, which are in the order of names, into a repository that
 * nobody else uses: as `git pack-refs --all` would have written them. They replace a file that
 * exists. Types of objects and targets of tags come from `git cat-file`.
 *
 * @throws {MissingTargetError}; the file is then as before.
 */
async function writePackedReferences(
  draft: Repository,
  header: BundleHeader,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const path = `${draft.path}/packed-refs`;
  const lock = `${path}.lock`;
  try {
    await using file = await open(lock, 'wx', FILE_MODE);
    await file.writeFile(PACKED_REFS_HEADER);
    for await (const text of packedLines(draft, header, signal)) await file.writeFile(text, 'latin1');
    await rename(lock, path);
  } catch (error) {
    await rm(lock, { force: true });
    throw error;
  }
}

/** Yields the lines of the file in pieces. */
async function* packedLines(
  draft: Repository,
  header: BundleHeader,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const options = ['--batch-check=%(objectname) %(objecttype)', '--buffer'].map(flag);
  await draft.spawnTurn(signal);
  await using process = draft.spawn(gitCommand('cat-file', { options }), { stdin: 'pipe', signal });
  const feeding = feedLines(process, header, ({ oid }) => Buffer.concat([oid, PEEL]));
  const slice = new LoopSlice();
  const references = header.references();
  for await (const answers of lineBatches(process.stdout)) {
    let text = '';
    for (const answer of answers) text += packedLine(nextOf(references), answer.toString('latin1'));
    yield text;
    await slice.pause(signal);
  }
  await feeding;
  await process.succeeded();
  if (nextBelowRefs(references) !== undefined)
    throw new MissingTargetError('git has not looked up all objects');
}

/** @param answer `<peeled object id> <type>`, or other words for a missing object. */
function packedLine({ oid, name }: BundleReference, answer: string): string {
  const peeled = answer.slice(0, oid.length);
  const type = answer.slice(oid.length + 1);
  const id = oid.toString('latin1');
  const isTag = peeled !== id;
  if (peeled.length < oid.length || type.endsWith('missing'))
    throw new MissingTargetError('an object is missing');
  if ((isTag || type !== COMMIT) && name.subarray(0, BRANCHES.length).equals(BRANCHES))
    throw new MissingTargetError('a branch has no commit');
  return `${id} ${name.toString('latin1')}\n${isTag ? `^${peeled}\n` : ''}`;
}

function nextOf(references: Iterator<BundleReference>): BundleReference {
  const reference = nextBelowRefs(references);
  if (reference === undefined) throw new MissingTargetError('git has returned too many objects');
  return reference;
}

function nextBelowRefs(references: Iterator<BundleReference>): BundleReference | undefined {
  for (let next = references.next(); next.done !== true; next = references.next())
    if (isBelowRefs(next.value)) return next.value;
  return undefined;
}
