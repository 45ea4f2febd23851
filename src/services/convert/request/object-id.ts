import { invalidArgument } from '#base/gitaly-error';
import { type Oid, objectIdProblem, parseOid } from '#git/names/object-id';

/**
 * Checks a full object id of a request: all its digits, lower case.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `invalid object ID: "x", expected length 40, got 1`,
 *   `…, invalid character 'g'`.
 */
export function requireObjectId(oid: string, objectFormat: 'sha1' | 'sha256'): Oid {
  const parsed = parseOid(oid, objectFormat);
  if (parsed !== undefined) return parsed;
  throw invalidArgument(objectIdProblem(oid, objectFormat) ?? '');
}
