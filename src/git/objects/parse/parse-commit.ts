import { LoopSlice } from '#base/async/loop-turns';
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
/** Bytes of lines that are read between two readings of the clock, in a millisecond or two. */
const BYTES_PER_LOOK = 32_768;
/** Parents that are read as one text, in half a millisecond. */
const PARENTS_AT_ONCE = 4096;

/**
 * Parses the contents of a commit object. Nothing is refused; a malformed header is skipped.
 * Headers after the first signature header belong to the signed text and are not parsed.
 *
 * @param mailmap replaces authors and committers as git does.
 */
export function parseCommit(oid: string, data: Buffer, mailmap?: Mailmap): Commit {
  const parser = new CommitParser(oid, data, mailmap);
  parser.headers.read();
  return parser.commit();
}

/**
 * Parses a commit as {@link parseCommit} does, in slices of the event loop: it may have megabytes
 * of headers.
 */
export async function parseCommitInTurns(oid: string, data: Buffer, mailmap?: Mailmap): Promise<Commit> {
  const parser = new CommitParser(oid, data, mailmap);
  await readInTurns(parser.headers);
  return parser.commit();
}

class CommitParser {
  readonly headers: HeaderReader;
  readonly #oid: string;
  readonly #data: Buffer;
  readonly #mailmap: Mailmap | undefined;
  #treeOid = '';
  readonly #parentOids: string[] = [];
  #author: Signature | undefined;
  #committer: Signature | undefined;
  #encoding: Buffer = EMPTY;
  #signatureType: SignatureType = 'none';

  constructor(oid: string, data: Buffer, mailmap: Mailmap | undefined) {
    this.#oid = oid;
    this.#data = data;
    this.#mailmap = mailmap;
    this.headers = new HeaderReader(data, (key, value, next) => this.#onHeader(key, value, next));
  }

  /** Returns the commit, once all headers are read. */
  commit(): Commit {
    const body = this.#data.subarray(this.headers.at);
    return {
      oid: this.#oid,
      treeOid: this.#treeOid,
      parentOids: this.#parentOids,
      author: this.#author,
      committer: this.#committer,
      encoding: this.#encoding,
      subject: firstLine(body),
      body,
      signatureType: this.#signatureType,
    };
  }

  #onHeader(key: string, value: Buffer, next: number): number {
    const data = this.#data;
    if (key === 'tree') this.#treeOid = value.toString('latin1');
    else if (key === 'parent') {
      this.#parentOids.push(value.toString('latin1'));
      return addParents(data, next, { parentOids: this.#parentOids, digits: this.#oid.length });
    } else if (key === 'author') this.#author = this.#person(value);
    else if (key === 'committer') this.#committer = this.#person(value);
    else if (key === 'encoding') this.#encoding = value;
    else if (key === 'gpgsig' || key === 'gpgsig-sha256') {
      this.#signatureType = signatureTypeOf(value);
      const last = data.indexOf(EMPTY_LINE, next - 1);
      return last === -1 ? data.length : last + 1;
    }
    return next;
  }

  #person(value: Buffer): Signature {
    return parseIdent(this.#mailmap?.mapIdent(value) ?? value);
  }
}

interface ParentLines {
  readonly parentOids: string[];
  /** Length of an id. */
  readonly digits: number;
}

/**
 * Adds the ids of the lines `parent <id>` from a position on, up to another line, some thousand at
 * once. Returns the next position. A commit can have a hundred thousand: their ids are slices of a
 * text, which takes an eighth of the time of a {@link HeaderReader}.
 */
function addParents(data: Buffer, start: number, { parentOids, digits }: ParentLines): number {
  const lineBytes = PARENT.length + digits + 1;
  const limit = start + PARENTS_AT_ONCE * lineBytes;
  let end = start;
  while (end < limit && data[end + lineBytes - 1] === LF && hasParentAt(data, end)) end += lineBytes;
  if (end === start) return start;

  const text = data.toString('latin1', start, end);
  for (let at = 0; at < text.length; at += lineBytes) {
    const id = text.slice(at + PARENT.length, at + lineBytes - 1);
    if (id.includes('\n')) return start + at;
    parentOids.push(id);
  }
  return end;
}

function hasParentAt(data: Buffer, at: number): boolean {
  for (let index = 0; index < PARENT.length; index++) if (data[at + index] !== PARENT[index]) return false;
  return true;
}

/** Handles a header. Returns the position of the next line that is to be read. */
export type OnHeader = (key: string, value: Buffer, next: number) => number;

/**
 * Reads the `<key> <value>` lines before the first empty line; continuation lines have the key ''.
 * Lines without a space are skipped.
 */
export class HeaderReader {
  /** Position of the next line; at the end that of the message, or the length of the data. */
  at = 0;
  readonly #data: Buffer;
  readonly #onHeader: OnHeader;

  /** @param onHeader is called with the position of the next line, and may return another one. */
  constructor(data: Buffer, onHeader: OnHeader) {
    this.#data = data;
    this.#onHeader = onHeader;
  }

  /**
   * Reads lines until this number of bytes is read; only the last handler may read more. Returns
   * true at the end of the headers.
   */
  read(maxBytes = Number.POSITIVE_INFINITY): boolean {
    const data = this.#data;
    const limit = this.at + maxBytes;
    while (this.at < limit) {
      const { at } = this;
      if (at >= data.length || data[at] === LF) {
        this.at = Math.min(at + 1, data.length);
        return true;
      }
      const lf = data.indexOf(LF, at);
      const end = lf === -1 ? data.length : lf;
      const line = data.subarray(at, end);
      const space = line.indexOf(0x20);
      this.at =
        space === -1
          ? end + 1
          : this.#onHeader(line.toString('latin1', 0, space), line.subarray(space + 1), end + 1);
    }
    return false;
  }
}

/** Reads all headers in slices of the event loop. */
export async function readInTurns(headers: HeaderReader): Promise<void> {
  const slice = new LoopSlice();
  while (!headers.read(BYTES_PER_LOOK)) await slice.pause();
}

function firstLine(body: Buffer): Buffer {
  const lf = body.indexOf(LF);
  let end = lf === -1 ? body.length : lf;
  while (end > 0 && body[end - 1] === CR) end--;
  return body.subarray(0, end);
}
