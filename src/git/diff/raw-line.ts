import { DiffFormatError } from './diff-format-error.ts';
import { unquotePath } from './unquote-path.ts';

/** How a file differs: added, deleted, modified, of another type, renamed, copied; git knows two more that trees never have. */
export type ChangeStatus = 'A' | 'D' | 'M' | 'T' | 'R' | 'C' | 'U' | 'X';

/** One file that differs between two trees. */
export interface FileChange {
  readonly status: ChangeStatus;
  /** 0 when the file is not there. */
  readonly oldMode: number;
  readonly newMode: number;
  /** Zeros when the file is not there. */
  readonly fromOid: string;
  readonly toOid: string;
  /** Equal to `toPath` unless the file was renamed or copied. */
  readonly fromPath: Buffer;
  readonly toPath: Buffer;
}

const LINES = {
  40: /^:([0-7]+) ([0-7]+) ([\da-fA-F]{40}) ([\da-fA-F]{40}) ([ADTUXMRC])\d*\t(.*?)(?:\t(.*?))?$/s,
  64: /^:([0-7]+) ([0-7]+) ([\da-fA-F]{64}) ([\da-fA-F]{64}) ([ADTUXMRC])\d*\t(.*?)(?:\t(.*?))?$/s,
} as const;

/** Hex digits of an object id. */
export type HexLength = keyof typeof LINES;

export const HEX_LENGTH = { sha1: 40, sha256: 64 } as const satisfies Record<string, HexLength>;

/**
 * Reads one line of `git diff --raw` with full ids, without its end: `:<mode> <mode> <oid> <oid> <status>[score]\t<path>[\t<path>]`.
 *
 * @throws {DiffFormatError} `raw line regexp mismatch` (Gitaly's words).
 */
export function parseRawLine(line: Buffer, hexLength: HexLength): FileChange {
  const match = LINES[hexLength].exec(line.toString('latin1'));
  if (match === null) throw new DiffFormatError('raw line regexp mismatch');
  const [, oldMode = '', newMode = '', fromOid = '', toOid = '', letter, first = '', second = ''] = match;
  const status = letter as ChangeStatus; // the expression has no other letters
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

/** A change of type as Gitaly shows it: the old file is deleted, the new one is added. Any other change stays as it is. */
export function splitTypeChange(change: FileChange): FileChange[] {
  if (change.status !== 'T') return [change];
  const zero = '0'.repeat(change.fromOid.length);
  return [
    { ...change, newMode: 0, toOid: zero },
    { ...change, status: 'A', oldMode: 0, fromOid: zero },
  ];
}
