import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { LoopSlice } from '#base/async/loop-turns';
import { indexPack, unpackObjects } from '#domain/create-copy/index-pack';
import { extractHooks } from '#domain/custom-hooks/extract-hooks';
import { HOOKS_NAME } from '#domain/custom-hooks/set-hooks';
import { inRefTransaction } from '#domain/ref-update/update-reference';
import type { Chain } from '#generations/chain/chain';
import type { ChainState } from '#generations/chain/chain-state';
import { sealReferences } from '#generations/codec/references';
import { ProtocolError } from '#generations/errors';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { type ArchiveBucket, chainOf, readPack } from '../bucket/archive-bucket.ts';
import { borrowedIds, FILES, SETTING } from '../capture/capture-settings.ts';
import { joinPacks } from '../capture/joined-packs.ts';
import { HEAD_NAME, SYMBOLIC } from '../capture/read-references.ts';

/** Inline packs that are joined in memory. */
const MAX_JOINED = 64;
const PACK = '.pack';
const ALTERNATES = 'objects/info/alternates';
/** git's limit of nested alternates. */
const MAX_DEPTH = 5;

export interface FillDraftOptions {
  readonly bucket: ArchiveBucket;
  readonly signal: AbortSignal;
}

/**
 * Fills a new, empty repository that nobody uses with an archived state: objects, references, HEAD,
 * files and hooks. It has all objects itself, also those that it had borrowed.
 *
 * @throws {DamagedPackError}; {ProtocolError}; {GitExitError} if an object is missing.
 */
export async function fillDraft(
  draft: Repository,
  { chain, state }: { readonly chain: Chain; readonly state: ChainState },
  options: FillDraftOptions,
): Promise<void> {
  await addObjects(draft, { chain, state }, options);
  await addBorrowed(draft, state, options);
  await writeReferences(draft, state, options.signal);
  await writeFiles(draft, state);
  await writeHooks(draft, { chain, state }, options);
  draft.caches.forget(draft);
  await requireConnected(draft, state, options.signal);
}

/** Adds the objects of all packs of a state. */
async function addObjects(
  draft: Repository,
  { chain, state }: { readonly chain: Chain; readonly state: ChainState },
  { bucket, signal }: FillDraftOptions,
): Promise<void> {
  for (const name of state.packs) {
    if (!name.endsWith(PACK)) continue;
    await addPack(draft, () => readPack(bucket, chain.options.keys, name, signal), signal);
  }
  const numbers = [...state.inline];
  for (let at = 0; at < numbers.length; at += MAX_JOINED) {
    const some = numbers.slice(at, at + MAX_JOINED);
    const packs = await Promise.all(some.map(async (n) => (await generation(chain, n)).inline));
    const joined = joinPacks(packs, draft.objectFormat); // one git for all
    await addPack(draft, () => once(joined), signal);
  }
}

/**
 * Adds the objects of a pack. One that was joined may have an object twice that a delta names as
 * its base: git before 2.50 cannot index that, but unpack it.
 */
async function addPack(
  draft: Repository,
  read: () => AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await indexPack(draft.git, { repository: draft, pack: read(), signal });
  } catch (error) {
    if (!(error instanceof GitExitError && error.stderr.includes('already resolved'))) throw error;
    await unpackObjects(draft.git, { repository: draft, pack: read(), signal });
  }
}

async function generation(chain: Chain, n: number) {
  const read = await chain.generation(n);
  if (read === undefined) throw new ProtocolError('damaged', `generation ${n} is missing`);
  return read;
}

/**
 * Adds the objects of the repositories that a state may use. Theirs are never removed. Without one
 * that cannot be read, the state may be complete all the same.
 */
async function addBorrowed(draft: Repository, state: ChainState, options: FillDraftOptions): Promise<void> {
  // It grows during the loop.
  const ids = new Map(borrowedIds(state).map((id) => [id, 1]));
  for (const [id, depth] of ids) {
    const chain = chainOf(options.bucket, id);
    const lender = await readable(chain);
    if (lender === undefined) continue;
    await addObjects(draft, { chain, state: lender }, options);
    if (depth < MAX_DEPTH)
      for (const next of borrowedIds(lender)) if (!ids.has(next)) ids.set(next, depth + 1);
  }
}

async function readable(chain: Chain): Promise<ChainState | undefined> {
  try {
    return (await chain.follow()).state;
  } catch (error) {
    if (error instanceof ProtocolError && error.problem === 'damaged') return undefined;
    throw error;
  }
}

async function writeReferences(
  draft: Repository,
  { references }: ChainState,
  signal: AbortSignal,
): Promise<void> {
  const plain = new Map([...references].filter(([name, value]) => name !== HEAD_NAME && !isSymbolic(value)));
  if (draft.referenceBackend === 'files' && plain.size > 0) {
    const { bytes } = await sealReferences(plain);
    await writeFile(`${draft.path}/packed-refs`, bytes, { mode: 0o644 });
    draft.caches.forget(draft);
    // git adds what annotated tags lead to.
    await draft.run(gitCommand('pack-refs', { options: [flag('--all')] }), { signal });
  } else if (plain.size > 0) await update(draft, plain, signal);
  for (const [name, value] of references) {
    if (!isSymbolic(value)) continue;
    const args = [name, value.slice(SYMBOLIC.length)].map((text) => Buffer.from(text, 'latin1'));
    await draft.run(gitCommand('symbolic-ref', { args }), { signal, hooks: 'disabled' });
  }
  const head = references.get(HEAD_NAME);
  if (head !== undefined && !isSymbolic(head)) await update(draft, new Map([[HEAD_NAME, head]]), signal);
}

async function update(
  draft: Repository,
  values: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  await inRefTransaction(draft, { hooks: undefined, signal, noDereference: true }, async (updates) => {
    const slice = new LoopSlice();
    for (const [name, newOid] of values) {
      await slice.pause(signal);
      await updates.update(Buffer.from(name, 'latin1'), { newOid });
    }
  });
}

function isSymbolic(value: string): boolean {
  return value.startsWith(SYMBOLIC);
}

async function writeFiles({ path }: Repository, { settings }: ChainState): Promise<void> {
  for (const file of FILES) {
    const value = settings.get(file);
    const target = `${path}/${file}`;
    if (value === undefined || file === ALTERNATES) await rm(target, { force: true });
    else {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(target, Buffer.from(value.slice(1), 'latin1'), { mode: 0o644 });
      await chmod(target, 0o644);
    }
  }
}

async function writeHooks(
  draft: Repository,
  { chain, state }: { readonly chain: Chain; readonly state: ChainState },
  { bucket, signal }: FillDraftOptions,
): Promise<void> {
  const name = state.settings.get(SETTING.hooks);
  if (name === undefined) return;
  await using temp = await createTempDirectory(draft.storage, 'hooks-');
  const pieces = readPack(bucket, chain.options.keys, name, signal);
  await rename(await extractHooks(pieces, temp.path, { signal }), `${draft.path}/${HOOKS_NAME}`);
}

/** Checks that all objects are there that the references need. @throws {GitExitError} */
async function requireConnected(
  draft: Repository,
  { references }: ChainState,
  signal: AbortSignal,
): Promise<void> {
  const head = references.get(HEAD_NAME);
  const revisions = head === undefined || isSymbolic(head) ? [] : [head];
  const options = ['--objects', '--all', '--quiet'].map(flag);
  await draft.run(gitCommand('rev-list', { options, revisions }), { signal });
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
