import { invalidArgument } from '#base/gitaly-error';
import { objectIdProblem, ZERO_OID } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { resolveReference } from './resolve-reference.ts';

export interface ExpectedOidOptions {
  readonly signal: AbortSignal;
  /** All zeros mean that the reference must not exist; otherwise they name no object. */
  readonly allowZero?: boolean;
}

/**
 * Returns the value that a client expects a reference to have; `undefined` when it expects none.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid expected old object ID: …`,
 *   `cannot resolve expected old object ID: reference not found`.
 */
export async function expectedOid(
  repository: Repository,
  oid: string,
  { signal, allowZero = false }: ExpectedOidOptions,
): Promise<string | undefined> {
  if (oid === '') return undefined;
  const objectFormat = repository.objectFormat;
  const problem = objectIdProblem(oid, objectFormat);
  if (problem !== undefined) throw invalidArgument(`invalid expected old object ID: ${problem}`);
  if (allowZero && oid === ZERO_OID[objectFormat]) return oid;
  if ((await repository.objects.info(oid, { signal })) === undefined) {
    throw invalidArgument('cannot resolve expected old object ID: reference not found');
  }
  return oid;
}

/** The reference to change does not exist. */
export class ReferenceNotFoundError extends Error {
  override readonly name = 'ReferenceNotFoundError';

  constructor() {
    super('reference not found');
  }
}

/**
 * Returns the value that a reference must still have when it is changed: the one that the client
 * expects, else its current one.
 *
 * @param expected object id; empty when the client expects none.
 * @throws {ReferenceNotFoundError}; as {@link expectedOid}.
 */
export async function requireOldOid(
  repository: Repository,
  { reference, expected }: { readonly reference: Buffer; readonly expected: string },
  options: { readonly signal: AbortSignal },
): Promise<string> {
  const oid =
    (await expectedOid(repository, expected, options)) ??
    (await resolveReference(repository, reference, options));
  if (oid === undefined) throw new ReferenceNotFoundError();
  return oid;
}
