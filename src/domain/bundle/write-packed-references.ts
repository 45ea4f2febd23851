import { open, rename, rm } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { lineBatches } from '#base/streams/line-batches';
import { flag, gitCommand } from '#git/command/git-command';
import { PACKED_REFS_HEADER } from '#git/refs/storage/files/packed-refs';
import type { Repository } from '#storage/repository';
import { type BundleHeader, type BundleReference, isBelowRefs } from './bundle-header.ts';
import { feedLines } from './feed-lines.ts';

/** An object is missing, or a branch would have another object than a commit. */
export class MissingTargetError extends Error {
  override readonly name = 'MissingObjectError';
}

const FILE_MODE = 0o644;
const BRANCHES = Buffer.from('refs/heads/');
const PEEL = Buffer.from('^{}');
const COMMIT = 'commit';

/**
 * Writes the references of a bundle, which are in the order of names, into a repository that
 * nobody else uses: as `git pack-refs --all` would have written them. They replace a file that
 * exists. Types of objects and targets of tags come from `git cat-file`.
 *
 * @throws {MissingTargetError}; the file is then as before.
 */
export async function writePackedReferences(
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
    await file.sync();
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
