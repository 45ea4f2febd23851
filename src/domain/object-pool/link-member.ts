import { readdir, unlink } from 'node:fs/promises';
import { posix } from 'node:path';
import { makeOneDirectory } from '#base/files/make-directory';
import { GitalyError, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { systemErrorCode } from '#base/go/system-error';
import { normalizePath } from '#base/normalize-path';
import { readAlternates } from '#storage/alternates';
import type { KnownBorrowers } from '#storage/borrowers';
import { type Vote, voteHash } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import { LockTakenError } from '#storage/locks/repository-lock';
import type { Repository } from '#storage/repository';
import { DIRECTORY_MODE } from '#storage/storage-layout';
import { joinPool } from './pool-membership.ts';

const FILE_MODE = 0o644;
const PACK_BITMAP = /^pack-.*\.bitmap$/;

export interface LinkMemberOptions {
  /** Those of the server, to which the member is added. */
  readonly borrowers: KnownBorrowers;
  readonly vote?: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Makes a repository a member of an object pool: it can read the pool's objects. Its own copies of
 * them are dropped when it is repacked. A member of this pool is left as it is.
 *
 * @throws {GitalyError} INTERNAL `unexpected alternates content: "…"` for a member of another pool,
 *   `committing alternates: …`; as {@link joinPool}.
 */
export async function linkMember(
  pool: Repository,
  member: Repository,
  { borrowers, vote, signal }: LinkMemberOptions,
): Promise<void> {
  // Relative, so that a storage can be moved. Not as a relation of the two object directories: it
  // would be empty for a pool that is linked to itself.
  const line = `${posix.relative(`${member.path}/objects`, pool.path)}/objects`;
  await using _joining = await joinPool(pool, { signal });
  const [current] = (await readAlternates(member.path))?.objectDirectories ?? [];
  if (current === line) {
    await vote?.('synchronized', voteHash(Buffer.from('repository linked')));
    return;
  }
  if (current !== undefined && normalizePath(current) !== `${pool.path}/objects`)
    throw new GitalyError('INTERNAL', `unexpected alternates content: ${quote(current)}`);

  const info = `${member.path}/objects/info`;
  await makeOneDirectory(info, { mode: DIRECTORY_MODE });
  await replaceLocked(`${info}/alternates`, Buffer.from(line), { mode: FILE_MODE, vote }).catch(refuse);
  await borrowers.note(member);
  await removeMemberBitmaps(pool, member);
}

/** git warns its clients when it finds bitmaps of packs in both. */
async function removeMemberBitmaps(pool: Repository, member: Repository): Promise<void> {
  if ((await bitmapsOf(pool)).length === 0) return;
  for (const bitmap of await bitmapsOf(member)) {
    await unlink(bitmap).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    });
  }
}

async function bitmapsOf({ path }: Repository): Promise<string[]> {
  const names = await readdir(`${path}/objects/pack`).catch((error: unknown): string[] => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  return names.filter((name) => PACK_BITMAP.test(name)).map((name) => `${path}/objects/pack/${name}`);
}

function refuse(error: unknown): never {
  if (error instanceof LockTakenError) throw wrap(error, 'committing alternates: locking file');
  throw wrap(error, 'committing alternates');
}
