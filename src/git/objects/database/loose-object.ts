import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/command/in-process';
import { isObjectType, type ObjectType } from '#git/names/object-info';
import { ImmutableFile } from './immutable-file.ts';
import { inflateHead, inflateUpTo } from './inflate.ts';
import { READ_LIMITS } from './limits.ts';

/** Type, size and, if it is small, the contents of a loose object. */
export interface LooseObject {
  readonly type: ObjectType;
  readonly size: number;
  readonly data: Buffer | undefined;
}

/** Longest header: a type and a number. */
const MAX_HEADER_BYTES = 32;
/** Compressed bytes that always contain the header, behind a table of codes. */
const HEAD_BYTES = 512;
/** Limit of what these bytes inflate to: deflate compresses to a thousandth at best. */
const MAX_HEAD_OUTPUT = HEAD_BYTES * 1100;
/** Size of most commits and directories. */
const EXPECTED_BYTES = 4096;
/** A file of an object that is read has fewer compressed bytes. */
const MAX_FILE_BYTES = 2 * READ_LIMITS.objectBytes;
const HEADER = /^(commit|tree|blob|tag) (0|[1-9]\d{0,14})$/;

export function loosePath(objectDirectory: string, oid: string): string {
  return `${objectDirectory}/${oid.slice(0, 2)}/${oid.slice(2)}`;
}

/**
 * Reads a loose object of an object directory; `undefined` if there is none.
 *
 * @throws {FallBackToGit} when it is broken.
 */
export function readLooseObject(objectDirectory: string, oid: string): LooseObject | undefined {
  const file = openIfThere(loosePath(objectDirectory, oid));
  if (file === undefined) return undefined;
  try {
    return parse(file);
  } finally {
    file.close();
  }
}

function parse(file: ImmutableFile): LooseObject {
  const first = read(file, HEAD_BYTES);
  const small = first.length === file.size ? inflateUpTo(first, MAX_HEAD_OUTPUT, EXPECTED_BYTES) : undefined;
  const head = small?.data ?? inflateHead(first, EXPECTED_BYTES);
  const end = head.subarray(0, MAX_HEADER_BYTES).indexOf(0);
  const [, type = '', digits = ''] = HEADER.exec(head.toString('latin1', 0, Math.max(end, 0))) ?? [];
  if (!isObjectType(type)) throw new FallBackToGit('a loose object has no header');
  const size = Number(digits);
  if (size > READ_LIMITS.objectBytes) return { type, size, data: undefined };
  const { data, inputBytes } = small ?? inflateUpTo(read(file, MAX_FILE_BYTES), end + 1 + size);
  if (data.length !== end + 1 + size || inputBytes !== file.size)
    throw new FallBackToGit('a loose object has a wrong length');
  return { type, size, data: data.subarray(end + 1) };
}

function read(file: ImmutableFile, maxBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(Math.min(maxBytes, file.size));
  if (file.read(bytes, 0) < bytes.length) throw new FallBackToGit('a loose object ends early');
  return bytes;
}

function openIfThere(path: string): ImmutableFile | undefined {
  try {
    return new ImmutableFile(path);
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
