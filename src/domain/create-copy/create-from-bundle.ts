import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { GitalyError, wrap } from '#base/gitaly-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { GitDirectory } from '#git/repository-files/git-directory';
import { type CreateRepositoryOptions, createRepository } from '#storage/lifecycle/create-repository';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { createTempDirectory } from '#storage/temp-directories';
import { BundleHeader } from '../bundle/bundle-header.ts';
import { fillReferences } from '../bundle/fill-from-bundle.ts';
import { type OpenedBundle, openBundle } from '../bundle/open-bundle.ts';
import { shortHeader } from '../bundle/short-header.ts';
import { spoolBundle } from '../bundle/spool-bundle.ts';
import type { RecordedResult } from '../transactions/run-recorded.ts';
import { cloneInto, removeOrigin } from './clone-into.ts';
import { indexPack } from './index-pack.ts';

/** Votes and abort of a call that creates a repository. */
export type CreateFromBundleOptions = Pick<CreateRepositoryOptions, 'vote'> & {
  readonly signal: AbortSignal;
};

interface SelfContainedBundle {
  readonly header: BundleHeader;
  readonly pack: AsyncIterable<Uint8Array>;
}

interface LongClone {
  /** Clones a bundle with a header. */
  readonly clone: (head: Buffer) => Promise<RecordedResult>;
  readonly signal: AbortSignal;
}

/**
 * Creates a repository with all references of a bundle, whole or not at all.
 *
 * @throws {GitalyError} ALREADY_EXISTS; INTERNAL `cloning bundle: waiting for git-clone: exit
 *   status 128` for bytes that are no bundle, or one that needs objects of another repository.
 */
export async function createFromBundle(
  storages: Storages,
  target: RepositoryTarget | undefined,
  pieces: AsyncIterable<Uint8Array>,
  options: CreateFromBundleOptions,
): Promise<void> {
  await createRepository(storages, target, {
    ...options,
    init: 'none',
    seed: async (draft) => {
      const { failure } = await cloneBundle(draft, await openBundle(pieces), options.signal);
      if (failure !== undefined) throw clonedBadly(failure.message, failure.stderr, failure);
      await removeOrigin(draft, options.signal);
    },
  });
}

async function cloneBundle(
  draft: Repository,
  { head, header, isBundle, rest }: OpenedBundle,
  signal: AbortSignal,
): Promise<RecordedResult> {
  if (!isBundle) throw clonedBadly('exit status 128', 'fatal: the data is no bundle');
  if (header?.isSelfContained === true) return await unpack(draft, { header, pack: rest }, signal);
  await using bundle = await spoolBundle(draft.storage, whole(head, rest));
  if (!bundle.hasHeader) throw clonedBadly('exit status 128', 'fatal: the bundle is cut off in its header');
  await using file = await open(bundle.path);
  const spooled = await BundleHeader.read(file, bundle.headerBytes);
  if (spooled?.isSelfContained === true) {
    const pack = file.createReadStream({ start: bundle.headerBytes, autoClose: false });
    return await unpack(draft, { header: spooled, pack }, signal);
  }
  return await cloneInto(draft, bundle.path, {
    options: [flag('--mirror')],
    config: [{ key: 'transfer.fsckObjects', value: 'false' }],
    signal,
  });
}

async function unpack(
  draft: Repository,
  bundle: SelfContainedBundle,
  signal: AbortSignal,
): Promise<RecordedResult> {
  try {
    return await unpackBundle(draft, bundle, signal);
  } catch (error) {
    if (error instanceof GitExitError) return { failure: error, stdout: '' };
    throw error;
  }
}

async function* whole(head: Buffer, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

function clonedBadly(exit: string, stderr: string, cause?: unknown): GitalyError {
  const error = new GitalyError('INTERNAL', exit, { cause, metadata: { stderr } });
  return wrap(error, 'cloning bundle: waiting for git-clone');
}

/**
 * Clones a bundle that needs nothing else into a draft while it arrives. git itself reads a bundle
 * twice, so it would have to be in a file first. Here its pack goes to `git index-pack` at once,
 * into a staging repository, and `git clone` gets a bundle with the same references and an empty
 * pack, and borrows the objects of the staging repository. They move over afterwards.
 *
 * @throws {GitExitError} for a pack that git refuses; errors of `pack`.
 */
async function unpackBundle(
  draft: Repository,
  { header, pack }: SelfContainedBundle,
  signal: AbortSignal,
): Promise<RecordedResult> {
  const { objectFormat } = header;
  await using scratch = await createTempDirectory(draft.storage, 'repo');
  const staging = `${scratch.path}/staging.git`;
  const options = [flag('--bare'), flag('--quiet'), value('--object-format', objectFormat)];
  await draft.git.run(gitCommand('init', { options, args: [staging] }), { signal });
  const repository: GitDirectory = {
    path: staging,
    objectDirectory: `${staging}/objects`,
    alternateObjectDirectories: [],
    knownObjectFormat: objectFormat,
  };
  await indexPack(draft.git, { repository, pack, signal });

  const clone = async (head: Buffer): Promise<RecordedResult> => {
    const references = `${scratch.path}/repo.bundle`;
    await writeFile(references, Buffer.concat([head, emptyPack(objectFormat)]), { mode: 0o600 });
    return await cloneInto(draft, references, {
      options: [flag('--mirror'), value('--reference', staging)],
      config: [{ key: 'transfer.fsckObjects', value: 'false' }],
      signal,
    });
  };
  const cloned = (await cloneLong(draft, header, { clone, signal })) ?? (await clone(header.bytes));
  if (cloned.failure === undefined) await takeObjects(staging, draft.path);
  return cloned;
}

/**
 * Clones very many references in a fraction of git's time: git reads a header several times, with
 * a system call for each byte. It clones those that HEAD depends on, and the others are written
 * afterwards.
 *
 * @returns `undefined` if git has to clone them all; the draft is not there then.
 */
async function cloneLong(
  draft: Repository,
  header: BundleHeader,
  { clone, signal }: LongClone,
): Promise<RecordedResult | undefined> {
  if (!header.isLong || !(await header.isPlain({ signal }))) return undefined;
  const head = await shortHeader(header, signal);
  if (head === undefined) return undefined;
  const cloned = await clone(head);
  if (cloned.failure === undefined && (await fillReferences(draft, { header, signal }))) return cloned;
  signal.throwIfAborted();
  await rm(draft.path, { recursive: true, force: true });
  return undefined;
}

/** Returns a pack without objects. (git: Documentation/gitformat-pack) */
function emptyPack(objectFormat: 'sha1' | 'sha256'): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  return Buffer.concat([header, createHash(objectFormat).update(header).digest()]);
}

/** Moves the packs of the staging repository to the place of the empty one, and stops borrowing. */
async function takeObjects(staging: string, draft: string): Promise<void> {
  const [from, to] = [`${staging}/objects/pack`, `${draft}/objects/pack`];
  await rm(to, { recursive: true, force: true });
  await mkdir(to);
  // The index is moved last, as git does it: from then on the pack is used.
  const names = (await readdir(from)).sort(
    (one, other) => Number(one.endsWith('.idx')) - Number(other.endsWith('.idx')),
  );
  for (const name of names) await rename(`${from}/${name}`, `${to}/${name}`);
  await rm(`${draft}/objects/info/alternates`);
}
