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

  const end = eachHeader(data, (key, value) => {
    if (signatureType !== undefined) return;
    if (key === 'tree') treeOid = value.toString('latin1');
    else if (key === 'parent') parentOids.push(value.toString('latin1'));
    else if (key === 'author') author = parseIdent(mailmap?.mapIdent(value) ?? value);
    else if (key === 'committer') committer = parseIdent(mailmap?.mapIdent(value) ?? value);
    else if (key === 'encoding') encoding = value;
    else if (key === 'gpgsig' || key === 'gpgsig-sha256') signatureType = signatureTypeOf(value);
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

/**
 * Calls back for every `<key> <value>` line before the first empty line (continuation lines have
 * the key ''). Returns the position of the message, or the length of the data if there is none.
 */
export function eachHeader(data: Buffer, onHeader: (key: string, value: Buffer) => void): number {
  let at = 0;
  while (at < data.length) {
    if (data[at] === LF) return at + 1;
    const lf = data.indexOf(LF, at);
    const end = lf === -1 ? data.length : lf;
    const line = data.subarray(at, end);
    const space = line.indexOf(0x20);
    if (space !== -1) onHeader(line.toString('latin1', 0, space), line.subarray(space + 1));
    at = end + 1;
  }
  return data.length;
}

function firstLine(body: Buffer): Buffer {
  const lf = body.indexOf(LF);
  let end = lf === -1 ? body.length : lf;
  while (end > 0 && body[end - 1] === CR) end--;
  return body.subarray(0, end);
}
