import { isObjectType, type ObjectType } from '#git/names/object-info';
import type { Mailmap } from './mailmap.ts';
import { HeaderReader, readInTurns } from './parse-commit.ts';
import { parseIdent, type Signature } from './parse-ident.ts';
import { type SignatureType, signatureTypeOf } from './signature-type.ts';

/** A tag object. Bytes are git's. */
export interface Tag {
  readonly oid: string;
  readonly targetOid: string;
  /** `undefined` for an unknown type. */
  readonly targetType: ObjectType | undefined;
  /** The `tag` header. The reference to the tag may have another name. */
  readonly name: Buffer;
  readonly tagger: Signature | undefined;
  /** Everything after the first empty line, including a signature. */
  readonly message: Buffer;
  /** The kind of the signature at the end of the message; a `gpgsig` header is ignored. */
  readonly signatureType: SignatureType;
}

const BEGIN = Buffer.from('-----BEGIN');

/**
 * Parses the contents of a tag object in slices of the event loop: it may have megabytes of
 * headers. Nothing is refused.
 */
export async function parseTagInTurns(oid: string, data: Buffer, mailmap?: Mailmap): Promise<Tag> {
  let targetOid = '';
  let targetType: ObjectType | undefined;
  let name: Buffer = Buffer.alloc(0);
  let tagger: Signature | undefined;

  const headers = new HeaderReader(data, (key, value, next) => {
    if (key === 'object') targetOid = value.toString('latin1');
    else if (key === 'type') targetType = typeOf(value);
    else if (key === 'tag') name = value;
    else if (key === 'tagger') tagger = parseIdent(mailmap?.mapIdent(value) ?? value);
    return next;
  });
  await readInTurns(headers);

  const message = data.subarray(headers.at);
  return { oid, targetOid, targetType, name, tagger, message, signatureType: signatureTypeIn(message) };
}

/** Returns the signature's type. A message that begins with a signature is not a signed one. */
function signatureTypeIn(message: Buffer): SignatureType {
  const begin = message.indexOf(BEGIN);
  if (begin <= 0) return 'none';
  const lf = message.indexOf(0x0a, begin);
  return signatureTypeOf(message.subarray(begin, lf === -1 ? message.length : lf));
}

function typeOf(value: Buffer): ObjectType | undefined {
  const word = value.toString('latin1');
  return isObjectType(word) ? word : undefined;
}
