import { GitalyError } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { objectIdProblem, ZERO_OID } from '#git/objects/object-id';
import type { Repository } from '#storage/repository';
import type { User } from '#wire/gen/shared_pb';

/** @throws {GitalyError} INVALID_ARGUMENT with the text, unless the field is filled. */
export function requireFilled(field: Uint8Array | string, text: string): void {
  if (field.length === 0) throw new GitalyError('INVALID_ARGUMENT', text);
}

/** @throws {GitalyError} INVALID_ARGUMENT with the text, when there is none. */
export function requireUser(user: User | undefined, text = 'empty user'): User {
  if (user === undefined) throw new GitalyError('INVALID_ARGUMENT', text);
  return user;
}

/** The full name of a branch. Whatever a client sends is taken as it is: `refs/heads/main` is `refs/heads/refs/heads/main`. */
export function branchReference(name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('refs/heads/'), name]);
}

/** The full name of a tag; names are taken as they are. */
export function tagReference(name: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('refs/tags/'), name]);
}

export interface ExpectedOidOptions {
  readonly signal: AbortSignal;
  /** All zeros mean that the reference must not exist; otherwise they name no object. */
  readonly allowZero?: boolean;
}

/**
 * The value that a client expects a reference to have; `undefined` when it does not say.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid expected old object ID: …`, `cannot resolve expected old object ID: reference not found`.
 */
export async function expectedOid(
  repository: Repository,
  oid: string,
  { signal, allowZero = false }: ExpectedOidOptions,
): Promise<string | undefined> {
  if (oid === '') return undefined;
  const objectFormat = repository.git.objectFormat(repository);
  const problem = objectIdProblem(oid, objectFormat);
  if (problem !== undefined) throw new GitalyError('INVALID_ARGUMENT', `invalid expected old object ID: ${problem}`);
  if (allowZero && oid === ZERO_OID[objectFormat]) return oid;
  if ((await repository.objects.info(oid, { signal })) === undefined) {
    throw new GitalyError('INVALID_ARGUMENT', 'cannot resolve expected old object ID: reference not found');
  }
  return oid;
}

/**
 * What a reference leads to; `undefined` when there is none. A name that cannot be one of a reference is resolved as git resolves any revision.
 */
export async function resolveReference(repository: Repository, name: Buffer, signal: AbortSignal): Promise<string | undefined> {
  const found = await repository.refs.resolve(name, { signal }).catch((error: unknown) => {
    // A name that is too long, a file that holds no id: not found is all that git says of it.
    if (!(error instanceof GitExitError)) throw error;
    return undefined;
  });
  return found?.oid ?? (await repository.objects.info(name, { signal }))?.oid;
}
