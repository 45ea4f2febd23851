import { FallBackToGit } from '#git/command/in-process';
import { OID_SOURCE, type Oid, trustedOid } from '#git/names/object-id';
import type { RawObject } from '#git/names/object-info';
import { isParsable } from '../parse/is-parsable.ts';
import { READ_LIMITS } from './limits.ts';

const TREE_LINE = new RegExp(`^tree (${OID_SOURCE})\n`);
const OBJECT_LINES = new RegExp(`^object (${OID_SOURCE})\ntype (commit|tree|blob|tag)\n`);
/** Length of the longest header. */
const LINES_BYTES = 'object \ntype commit\n'.length + 64;

/**
 * Follows tags and, for a tree, a commit to an object of a type.
 *
 * @param type Empty for the first object that is not a tag.
 * @throws {FallBackToGit} when there is none, or an object is not as git writes it; as `read` does.
 */
export function peel(oid: Oid, type: string, read: (oid: Oid) => RawObject): RawObject {
  let object = read(oid);
  for (let step = 0; step <= READ_LIMITS.tags; step++) {
    if (!isParsable(object)) throw notOfItsType();
    if (isOfType(object, type)) return object;
    if (object.type === 'tag') object = readTarget(object, read);
    else if (object.type === 'commit' && type === 'tree') object = read(idIn(object, TREE_LINE));
    else break;
  }
  throw new FallBackToGit('a name leads to no object of the type');
}

/** Reports whether an object is of a type in the format of {@link peel}. */
export function isOfType(object: RawObject, type: string): boolean {
  return type === '' ? object.type !== 'tag' : object.type === type;
}

function readTarget(tag: RawObject, read: (oid: Oid) => RawObject): RawObject {
  const target = read(idIn(tag, OBJECT_LINES));
  if (!headOf(tag).includes(`\ntype ${target.type}\n`)) throw notOfItsType();
  return target;
}

function idIn(object: RawObject, lines: RegExp): Oid {
  const [, found] = lines.exec(headOf(object)) ?? [];
  if (found?.length !== object.oid.length) throw notOfItsType();
  return trustedOid(found);
}

function headOf({ data }: RawObject): string {
  return data.toString('latin1', 0, LINES_BYTES);
}

function notOfItsType(): FallBackToGit {
  return new FallBackToGit('an object is not of its type');
}
