import type { Mailmap } from './mailmap.ts';
import { parseIdent, type Signature } from './parse-ident.ts';
import { type SignatureType, signatureTypeOf } from './signature-type.ts';

/**
 * A commit object. All bytes are git's: nothing is decoded or re-encoded, whatever `encoding` is.
 */
export interface Commit {
  readonly oid: string;
  readonly treeOid: string;
  readonly parentOids: readonly string[];
  /** `undefined` without such a header. */
  readonly author: Signature | undefined;
  readonly committer: Signature | undefined;
  /** The `encoding` header; empty if there is none. */
  readonly encoding: Buffer;
  /** The first line of the message without the carriage returns at its end. */
  readonly subject: Buffer;
  /** The whole message: everything after the first empty line. */
  readonly body: Buffer;
  readonly signatureType: SignatureType;
}

const EMPTY = Buffer.alloc(0);
const LF = 0x0a;
const EMPTY_LINE = Buffer.from('\n\n');
const PARENT = Buffer.from('parent ');
const CR = 0x0d;

/**
 * Parses the contents of a commit object. Nothing is refused; a malformed header is skipped.
 * Headers after the first signature header belong to the signed text and are not parsed.
 *
 * @param mailmap replaces authors and committers as git does.
 */
export function parseCommit(oid: string, data: Buffer, mailmap?: Mailmap): Commit {
  let treeOid = '';
  const parentOids: string[] = [];
  let author: Signature | undefined;
  let committer: Signature | undefined;
  let encoding: Buffer = EMPTY;
  let signatureType: SignatureType | undefined;

  const end = eachHeader(data, (key, value, next) => {
    if (key === 'tree') treeOid = value.toString('latin1');
    else if (key === 'parent') {
      parentOids.push(value.toString('latin1'));
      return addParents(data, next, { parentOids, digits: oid.length });
    } else if (key === 'author') author = parseIdent(mailmap?.mapIdent(value) ?? value);
    else if (key === 'committer') committer = parseIdent(mailmap?.mapIdent(value) ?? value);
    else if (key === 'encoding') encoding = value;
    else if (key === 'gpgsig' || key === 'gpgsig-sha256') {
      signatureType = signatureTypeOf(value);
      const last = data.indexOf(EMPTY_LINE, next - 1);
      return last === -1 ? data.length : last + 1;
    }
    return next;
  });

  const body = data.subarray(end);
  return {
    oid,
    treeOid,
    parentOids,
    author,
    committer,
    encoding,
    subject: firstLine(body),
    body,
    signatureType: signatureType ?? 'none',
  };
}

interface ParentLines {
  readonly parentOids: string[];
  /** Length of an id. */
  readonly digits: number;
}

/**
 * Adds the ids of the lines `parent <id>` from a position on, up to another line. Returns its
 * position. A commit can have a hundred thousand: this takes a quarter of the time of
 * {@link eachHeader}.
 */
function addParents(data: Buffer, start: number, { parentOids, digits }: ParentLines): number {
  const lineBytes = PARENT.length + digits + 1;
  let at = start;
  for (; data[at + lineBytes - 1] === LF && hasParentAt(data, at); at += lineBytes) {
    const id = data.toString('latin1', at + PARENT.length, at + lineBytes - 1);
    if (id.includes('\n')) break;
    parentOids.push(id);
  }
  return at;
}

function hasParentAt(data: Buffer, at: number): boolean {
  for (let index = 0; index < PARENT.length; index++) if (data[at + index] !== PARENT[index]) return false;
  return true;
}

/**
 * Calls back for every `<key> <value>` line before the first empty line (continuation lines have
 * the key ''), with the position of the next line. Continues where the function returns. Returns
 * the position of the message, or the length of the data if there is none.
 */
export function eachHeader(
  data: Buffer,
  onHeader: (key: string, value: Buffer, next: number) => number,
): number {
  let at = 0;
  while (at < data.length) {
    if (data[at] === LF) return at + 1;
    const lf = data.indexOf(LF, at);
    const end = lf === -1 ? data.length : lf;
    const line = data.subarray(at, end);
    const space = line.indexOf(0x20);
    const next = end + 1;
    at = space === -1 ? next : onHeader(line.toString('latin1', 0, space), line.subarray(space + 1), next);
  }
  return data.length;
}

function firstLine(body: Buffer): Buffer {
  const lf = body.indexOf(LF);
  let end = lf === -1 ? body.length : lf;
  while (end > 0 && body[end - 1] === CR) end--;
  return body.subarray(0, end);
}
