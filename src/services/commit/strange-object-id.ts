import { GitalyError, messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { requireObjectId } from '../convert/object-id.ts';

/** The error of a name that git resolves to something else than an id (`^main` gives `^<oid>`). It has no code, as with Gitaly. */
export function strangeObjectId(oid: string, objectFormat: 'sha1' | 'sha256'): GitalyError {
  try {
    requireObjectId(oid, objectFormat);
    return new GitalyError('UNKNOWN', `unsupported object hash ${quote(oid)}`);
  } catch (error) {
    return new GitalyError('UNKNOWN', `unsupported object hash ${quote(oid)}: ${messageOf(error)}`);
  }
}
