import { lstatSync, readFileSync, type Stats } from 'node:fs';
import { systemErrorCode } from '#base/go/system-error';
import { GIT_SPACE, trimmed } from '#base/trim';
import { FallBackToGit } from '#git/command/in-process';
import { isZeroOid, OID_SOURCE, type Oid, trustedOid } from '#git/names/object-id';
import { HEAD, isRefName, type RefName } from '#git/names/ref-name';

/** The value of a reference: an object id, or the name of another reference. */
export type RawRef =
  | { readonly oid: Oid; readonly symbolicTarget?: undefined }
  | { readonly oid?: undefined; readonly symbolicTarget: RefName };

/** Limit of a reference file; git does not write longer ones. */
const MAX_BYTES = 8 * 1024;

// Made once: lists may meet many.
const NOT_PLAIN = new FallBackToGit('a reference file is not one that git writes');

export interface ReadLooseRefOptions {
  /** Of the file itself, where they are known. */
  readonly stats?: Stats | undefined;
  /** Returns the contents of the file, where they may be known. */
  readonly read?: (() => Buffer) | undefined;
}

/**
 * Reads the file of a loose reference; `undefined` when there is none (also where a directory has
 * its name).
 *
 * @throws {FallBackToGit} for what git may read in another way: a symbolic link, garbage, a zero
 *   id, a target outside `refs/`.
 */
export function readLooseRef(
  gitDirectory: string,
  name: RefName,
  { stats, read }: ReadLooseRefOptions = {},
): RawRef | undefined {
  // A path made of bytes is as good as a string for the file system, but only bytes can name
  // everything git can.
  const file = Buffer.concat([Buffer.from(`${gitDirectory}/`), name]);
  try {
    const stat = stats ?? lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.isDirectory()) return undefined;
    if (!stat.isFile() || stat.size > MAX_BYTES) throw NOT_PLAIN;
    return parseLooseRef(read === undefined ? readFileSync(file) : read());
  } catch (error) {
    // It vanished between two system calls: packed or deleted meanwhile.
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

const BEGINS_WITH_OID = new RegExp(String.raw`^(${OID_SOURCE})(?:\s|$)`);

/** Reads the text of a reference file. @throws {FallBackToGit} as {@link readLooseRef}. */
export function parseLooseRef(data: Buffer): RawRef {
  const text = data.toString('latin1');
  if (text.startsWith('ref:')) {
    const target = trimmed(text.slice(4), GIT_SPACE);
    const symbolicTarget = Buffer.from(target, 'latin1');
    if (!isRefName(symbolicTarget) || symbolicTarget.equals(HEAD)) throw NOT_PLAIN;
    return { symbolicTarget };
  }
  const oid = BEGINS_WITH_OID.exec(text)?.[1];
  if (oid === undefined || isZeroOid(oid)) throw NOT_PLAIN;
  return { oid: trustedOid(oid) };
}
