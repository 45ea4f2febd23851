import { FallBackToGit } from '#git/in-process';
import { OID_SOURCE, type Oid, trustedOid } from '../object-id.ts';
import type { RawObject } from '../object-info.ts';
import { isParsable } from '../parse/is-parsable.ts';
import { LIMITS } from './limits.ts';

const TREE_LINE = new RegExp(`^tree (${OID_SOURCE})\n`);
const OBJECT_LINE = new RegExp(`^object (${OID_SOURCE})\n`);
/** Bytes of the longer one of these lines. */
const LINE_BYTES = 'object \n'.length + 64;

/**
 * Follows tags and, for a tree, a commit to an object of a type.
 *
 * @throws {FallBackToGit} when there is none, or an object is not as git writes it; as `read` does.
 */
export function peel(oid: Oid, type: string, read: (oid: Oid) => RawObject): RawObject {
  let object = read(oid);
  for (let step = 0; step <= LIMITS.tags; step++) {
    if (!isParsable(object.type, object.data)) throw new FallBackToGit('an object is not of its type');
    if (object.type === type) return object;
    if (object.type === 'tag') object = read(idIn(object, OBJECT_LINE));
    else if (object.type === 'commit' && type === 'tree') object = read(idIn(object, TREE_LINE));
    else break;
  }
  throw new FallBackToGit('a name leads to no object of the type');
}

function idIn({ data, oid }: RawObject, line: RegExp): Oid {
  const [, found] = line.exec(data.toString('latin1', 0, LINE_BYTES)) ?? [];
  if (found?.length !== oid.length) throw new FallBackToGit('an object is not of its type');
  return trustedOid(found);
}
