import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { requireObjectId } from '#services/convert/request/object-id';

/**
 * Creates the error for a name that git resolves to something else than an id (`^main` gives
 * `^<oid>`). It has no code, as in Gitaly.
 */
export function invalidObjectIdError(oid: string, objectFormat: 'sha1' | 'sha256'): GitalyError {
  try {
    requireObjectId(oid, objectFormat);
    return new GitalyError('UNKNOWN', `unsupported object hash ${quote(oid)}`);
  } catch (error) {
    return new GitalyError('UNKNOWN', `unsupported object hash ${quote(oid)}: ${messageOf(error)}`);
  }
}
