import { OID_SOURCE } from '#git/names/object-id';
import type { Signature } from '#git/objects/parse/parse-ident';
import type { BranchTip } from './branch-tip.ts';

/** Fields of a commit in `for-each-ref`. */
type CommitFields = Omit<BranchTip, 'name' | 'oid'>;

const PERSON = String.raw`(?:([^<>\n\0]*) )?<([^<>\n\0]*)> (\d{1,15}) ([+-]\d{4})\n`;
/**
 * Matches a commit as git writes it, up to the empty line before its message. Only headers after
 * the committer may be of any kind.
 */
const OBJECTS = String.raw`tree (${OID_SOURCE})\n((?:parent ${OID_SOURCE}\n)*)`;
const HEADERS = new RegExp(String.raw`^${OBJECTS}author ${PERSON}committer ${PERSON}(?:[^\n\0]+\n)*\n`);
const NUL = 0;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
/** Size above which git parses a commit: here it would block the event loop for more than 10 ms. */
const MAX_PLAIN_BYTES = 1 << 20;
const SIGNATURE = Buffer.from('\n-----BEGIN ');
const PARENT = /^parent /gm;

/**
 * Parses a commit by the rules of git's `ref-filter`, if it has the form that git writes. Returns
 * `undefined` for any other: those rules are too complex to repeat here, so git is used.
 */
export function parsePlainCommit(data: Buffer): CommitFields | undefined {
  if (data.length > MAX_PLAIN_BYTES) return undefined;
  const text = data.toString('latin1');
  const headers = HEADERS.exec(text);
  if (headers === null) return undefined;
  const [all, treeOid = '', parents = ''] = headers;
  const start = afterEmptyLines(data, all.length);
  if (isOddMessage(data, start)) return undefined;

  const author = 'tree \n'.length + treeOid.length + parents.length + 'author '.length;
  const committer = text.indexOf('\n', author) + 1 + 'committer '.length;
  return {
    treeOid,
    parentOids: parents === '' ? [] : parents.replace(PARENT, '').trimEnd().split('\n'),
    author: readPerson(data, author, headers, 3),
    committer: readPerson(data, committer, headers, 7),
    subject: readSubject(data, text, start),
    body: data.subarray(start),
  };
}

/**
 * Reports whether git treats a part of a message specially: NUL ends it, a signature ends the
 * subject. The message follows a line feed, and may have megabytes.
 */
function isOddMessage(data: Buffer, start: number): boolean {
  return data.includes(NUL, start) || data.includes(SIGNATURE, start - 1);
}

function afterEmptyLines(data: Buffer, start: number): number {
  let at = start;
  while (data[at] === LF) at++;
  return at;
}

/** Extracts a person's bytes, given the texts of its four parts. */
function readPerson(
  data: Buffer,
  start: number,
  texts: readonly (string | undefined)[],
  first: number,
): Signature {
  const name = texts[first];
  const { [first + 1]: email = '', [first + 2]: date = '', [first + 3]: zone = '' } = texts;
  const nameEnd = start + (name?.length ?? 0);
  const emailStart = (name === undefined ? start : nameEnd + 1) + 1;
  const zoneStart = emailStart + email.length + '> '.length + date.length + 1;
  return {
    name: data.subarray(start, nameEnd),
    email: data.subarray(emailStart, emailStart + email.length),
    seconds: BigInt(date),
    timezone: zone === '-0000' ? UTC : data.subarray(zoneStart, zoneStart + zone.length),
  };
}

/** git prints the zone as a number, which has no negative zero. */
const UTC = Buffer.from('+0000');

/** Returns the first paragraph on one line. */
function readSubject(data: Buffer, text: string, start: number): Buffer {
  let end = text.indexOf('\n\n', start);
  if (end === -1) end = text.indexOf('\r\n\r\n', start);
  if (end === -1) end = text.length;
  while (end > start && (text[end - 1] === '\n' || text[end - 1] === '\r')) end--;
  const lf = text.indexOf('\n', start);
  if (lf === -1 || lf >= end) return data.subarray(start, end);
  return joinedLines(data.subarray(start, end));
}

/**
 * Replaces line ends, with their carriage return, by spaces. On a megabyte of short lines a regular
 * expression takes ten times as long.
 */
function joinedLines(lines: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(lines.length);
  let length = 0;
  for (let at = 0; at < lines.length; at++) {
    const byte = lines[at] ?? 0;
    if (byte === CR && lines[at + 1] === LF) continue;
    joined[length++] = byte === LF ? SPACE : byte;
  }
  return joined.subarray(0, length);
}
