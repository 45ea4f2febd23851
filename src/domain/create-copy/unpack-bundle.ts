import { createHash } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { flag, gitCommand, value } from '#git/command/git-command';
import type { GitDirectory } from '#git/repository-files/git-directory';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import type { BundleHeader } from '../bundle/bundle-header.ts';
import { fillReferences } from '../bundle/fill-from-bundle.ts';
import { shortHeader } from '../bundle/short-header.ts';
import type { RecordedResult } from '../transactions/run-recorded.ts';
import { cloneInto } from './clone-into.ts';
import { indexPack } from './index-pack.ts';

export interface SelfContainedBundle {
  readonly header: BundleHeader;
  readonly pack: AsyncIterable<Uint8Array>;
}

/**
 * Clones a bundle that needs nothing else into a draft while it arrives. git itself reads a bundle
 * twice, so it would have to be in a file first. Here its pack goes to `git index-pack` at once,
 * into a staging repository, and `git clone` gets a bundle with the same references and an empty
 * pack, and borrows the objects of the staging repository. They move over afterwards.
 *
 * @throws {GitExitError} for a pack that git refuses; errors of `pack`.
 */
export async function unpackBundle(
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

interface LongClone {
  /** Clones a bundle with a header. */
  readonly clone: (head: Buffer) => Promise<RecordedResult>;
  readonly signal: AbortSignal;
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
