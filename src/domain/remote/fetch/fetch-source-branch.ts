import { wrap } from '#base/gitaly-error';
import { updateReference } from '#domain/ref-update/update-reference';
import { commitIdOf } from '#domain/revisions/commit-id-of';
import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import type { RemoteRepository } from '../server/remote-repository.ts';

/**
 * Files and directories in a repository that are not references. git writes a reference outside
 * `refs/` to the file of that name, whatever the file was before.
 */
const FILES = new Set([
  'branches',
  'commondir',
  'config',
  'config.worktree',
  'custom_hooks',
  'description',
  'gc.log',
  'gc.pid',
  'gitdir',
  'gitlab-worktree',
  'hooks',
  'index',
  'info',
  'language-stats.cache',
  'logs',
  'modules',
  'objects',
  'packed-refs',
  'refs',
  'reftable',
  'remotes',
  'rr-cache',
  'shallow',
  'worktrees',
]);

interface SourceBranch {
  /** `undefined` when the source is the repository itself. */
  readonly source: RemoteRepository | undefined;
  /** Revision in the source. */
  readonly revision: Buffer;
  /** Reference to write. */
  readonly target: Buffer;
  /** Value that the target must have; zeros if it must not exist, empty for any. */
  readonly expectedOid: string;
}

/**
 * Points a reference to the commit that a revision of another repository names, and fetches the
 * commit if necessary.
 *
 * @returns whether there is such a commit and it could be fetched.
 * @throws {GitalyError} INTERNAL `commit: …` when the reference cannot be written; the status of
 *   the other server.
 */
export async function fetchSourceBranch(
  repository: Repository,
  { source, revision, target, expectedOid }: SourceBranch,
  { hooks, signal }: { readonly hooks: TransactionHooks | undefined; readonly signal: AbortSignal },
): Promise<boolean> {
  const oid =
    source === undefined
      ? await commitIdOf(repository, revision, { signal })
      : await source.resolveCommit(revision);
  if (oid === undefined) return false;
  if (source !== undefined && !(await bring(repository, source, oid, signal))) return false;

  const oldOid = expectedOid === '' ? undefined : expectedOid;
  try {
    if (isFileOfGit(target)) throw new RefUpdateError('invalid-name', { reference: target }, undefined);
    await updateReference(repository, target, { newOid: oid, oldOid }, { hooks, signal });
    return true;
  } catch (error) {
    throw wrap(error, 'commit');
  }
}

/** Fetches a commit that the repository lacks. @returns whether it has the commit afterwards. */
async function bring(
  repository: Repository,
  source: RemoteRepository,
  oid: string,
  signal: AbortSignal,
): Promise<boolean> {
  if ((await commitIdOf(repository, oid, { signal })) !== undefined) return true;
  await using quarantine = await Quarantine.create(repository);
  try {
    await source.fetchInto(quarantine.repository, oid);
  } catch (error) {
    if (signal.aborted) throw error;
    return false; // as Gitaly: a repository with another hash, or without the objects
  }
  await quarantine.migrate();
  return true;
}

/**
 * Reports whether a reference of this name would be in the place of a file with another meaning:
 * outside `refs/`, any path with a slash, and the names that git and the server use.
 */
function isFileOfGit(reference: Uint8Array): boolean {
  const name = Buffer.from(reference).toString('latin1');
  if (name.startsWith('refs/')) return false;
  // Some file systems do not distinguish cases.
  return name.includes('/') || FILES.has(name.toLowerCase());
}
