import { OID_DIGITS, type OidDigits, oidInAnyCaseSource, zeroOidLike } from '#git/names/object-id';
import { unquotePath } from '#git/names/unquote-path';
import { DiffFormatError } from './diff-format-error.ts';

/**
 * The kind of a change: added, deleted, modified, type changed, renamed, copied; git has two more
 * that trees never have.
 */
export type ChangeStatus = 'A' | 'D' | 'M' | 'T' | 'R' | 'C' | 'U' | 'X';

/** One changed file of two trees. */
export interface ChangedPath {
  readonly status: ChangeStatus;
  /** 0 if the file does not exist. */
  readonly oldMode: number;
  readonly newMode: number;
  /** Zeros if the file does not exist. */
  readonly fromOid: string;
  readonly toOid: string;
  /** Equal to `toPath` unless the file was renamed or copied. */
  readonly fromPath: Buffer;
  readonly toPath: Buffer;
}

const LINES: Readonly<Record<OidDigits, RegExp>> = {
  [OID_DIGITS.sha1]: linesWith(OID_DIGITS.sha1),
  [OID_DIGITS.sha256]: linesWith(OID_DIGITS.sha256),
};

function linesWith(digits: OidDigits): RegExp {
  const oid = oidInAnyCaseSource(digits);
  return new RegExp(
    String.raw`^:([0-7]+) ([0-7]+) (${oid}) (${oid}) ([ADTUXMRC])\d*\t(.*?)(?:\t(.*?))?$`,
    's',
  );
}

/**
 * Parses one line of `git diff --raw` with full ids, without its delimiter: `:<mode> <mode> <oid>
 * <oid> <status>[score]\t<path>[\t<path>]`.
 *
 * @throws {DiffFormatError} `raw line regexp mismatch` (Gitaly's text).
 */
export function parseRawLine(line: Buffer, hexLength: OidDigits): ChangedPath {
  const match = LINES[hexLength].exec(line.toString('latin1'));
  if (match === null) throw new DiffFormatError('raw line regexp mismatch');
  const [, oldMode = '', newMode = '', fromOid = '', toOid = '', letter, first = '', second = ''] = match;
  const status = letter as ChangeStatus; // the expression matches no other letters
  const fromPath = unquotePath(Buffer.from(first, 'latin1'));
  return {
    status,
    oldMode: Number.parseInt(oldMode, 8),
    newMode: Number.parseInt(newMode, 8),
    fromOid,
    toOid,
    fromPath,
    toPath: status === 'R' || status === 'C' ? unquotePath(Buffer.from(second, 'latin1')) : fromPath,
  };
}

/**
 * Splits a type change as Gitaly does: the old file is deleted, the new one is added. Returns any
 * other change unchanged.
 */
export function splitTypeChange(change: ChangedPath): ChangedPath[] {
  if (change.status !== 'T') return [change];
  const zero = zeroOidLike(change.fromOid);
  return [
    { ...change, newMode: 0, toOid: zero },
    { ...change, status: 'A', oldMode: 0, fromOid: zero },
  ];
}
