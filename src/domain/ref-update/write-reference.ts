import { GitalyError, wrap } from '#base/gitaly-error';
import { objectIdProblem, ZERO_OID } from '#git/names/object-id';
import { RefUpdateError } from '#git/refs/update/ref-update-error';
import type { Repository } from '#storage/repository';
import { type RefUpdateOptions, updateReference } from './update-reference.ts';

export interface ReferenceToWrite {
  /** Full name. */
  readonly name: Buffer;
  /** Revision of the new object; zeros to delete the reference. */
  readonly revision: Buffer;
  /** Revision of the object that it must have; zeros if it must not exist, empty for any. */
  readonly oldRevision: Buffer;
}

/** A revision names no object. */
export class UnknownRevisionError extends Error {
  override readonly name = 'UnknownRevisionError';
  readonly revision: Buffer;

  constructor(which: 'new' | 'old', revision: Buffer) {
    super(`resolving ${which} revision: reference not found`);
    this.revision = revision;
  }
}

/**
 * Writes a reference without access checks and custom hooks.
 *
 * @throws {UnknownRevisionError}; {GitalyError} ABORTED `reference is locked already`,
 *   `error when running update-ref command: …`.
 */
export async function writeReference(
  repository: Repository,
  { name, revision, oldRevision }: ReferenceToWrite,
  options: RefUpdateOptions,
): Promise<void> {
  const { hooks, signal } = options;
  const isFullOid = objectIdProblem(revision, repository.objectFormat) === undefined;
  // git looks up the object when it writes the reference. It is looked up first only if the nodes
  // of a cluster vote on the change before.
  const isForGit = hooks === undefined && isFullOid;
  const newOid = isForGit ? revision.toString('latin1') : await resolve(repository, 'new', revision, signal);
  try {
    const oldOid =
      oldRevision.length === 0 ? undefined : await resolve(repository, 'old', oldRevision, signal);
    await updateReference(repository, name, { newOid, oldOid }, options).catch(refuse);
  } catch (error) {
    // A missing object takes precedence over every other error.
    if (isForGit) await resolve(repository, 'new', revision, signal);
    throw error;
  }
}

const PEEL_NOTHING = Buffer.from('^{object}');

/** Returns the id of the object that a revision names; tags are not peeled, zeros are kept. */
async function resolve(
  repository: Repository,
  which: 'new' | 'old',
  revision: Buffer,
  signal: AbortSignal | undefined,
): Promise<string> {
  const zeros = ZERO_OID[repository.objectFormat];
  if (revision.equals(Buffer.from(zeros))) return zeros;
  const object = await repository.objects.info(Buffer.concat([revision, PEEL_NOTHING]), { signal });
  if (object === undefined) throw new UnknownRevisionError(which, revision);
  return object.oid;
}

function refuse(error: unknown): never {
  if (error instanceof RefUpdateError && error.problem === 'locked') {
    throw new GitalyError('ABORTED', 'reference is locked already', { cause: error });
  }
  throw wrap(error, 'error when running update-ref command');
}
