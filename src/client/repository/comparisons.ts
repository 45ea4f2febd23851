import type { CallOptions } from '../call/call-types.ts';
import { diffs, type WholeDiff } from '../content/collect/diffs.ts';
import type { Place } from './place.ts';
import { bufferOf, decodeText, type TextOrBytes, toBytes } from './values.ts';

export interface DiffOptions extends CallOptions {
  /** Only these files and directories. */
  readonly paths?: readonly TextOrBytes[];
}

/** The change of one file. */
export interface FileDiff {
  readonly status: 'added' | 'deleted' | 'renamed' | 'modified';
  readonly path: string;
  readonly pathBytes: Buffer;
  /** The path before the change, which differs only for a renamed file. */
  readonly previousPath: string;
  readonly previousPathBytes: Buffer;
  readonly oldOid: string;
  readonly newOid: string;
  readonly oldMode: number;
  readonly newMode: number;
  readonly isBinary: boolean;
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** The hunks, from the first `@@` on; empty for a binary file. */
  readonly patch: string;
  readonly patchBytes: Buffer;
}

const NO_OID = /^0+$/;

/** Yields the files that differ between two commits (RPC CommitDiff). */
export async function* diff(
  { connection, repository }: Place,
  [left, right]: readonly [string, string],
  { paths = [], ...options }: DiffOptions,
): AsyncGenerator<FileDiff, void, undefined> {
  const request = { repository, leftCommitId: left, rightCommitId: right, paths: paths.map(toBytes) };
  for await (const whole of diffs(connection.diff.commitDiff(request, options))) yield fileDiffOf(whole);
}

function fileDiffOf(whole: WholeDiff): FileDiff {
  const { fromPath, toPath, fromId, toId, oldMode, newMode, binary, patch } = whole;
  const [previousPathBytes, pathBytes] = [bufferOf(fromPath), bufferOf(toPath)];
  return {
    status: statusOf(whole, !previousPathBytes.equals(pathBytes)),
    path: decodeText(toPath),
    pathBytes,
    previousPath: decodeText(fromPath),
    previousPathBytes,
    oldOid: fromId,
    newOid: toId,
    oldMode,
    newMode,
    isBinary: binary,
    linesAdded: whole.linesAdded,
    linesRemoved: whole.linesRemoved,
    patch: patch.toString(),
    patchBytes: patch,
  };
}

function statusOf({ oldMode, newMode, fromId, toId }: WholeDiff, isRenamed: boolean): FileDiff['status'] {
  if (oldMode === 0 || NO_OID.test(fromId)) return 'added';
  if (newMode === 0 || NO_OID.test(toId)) return 'deleted';
  return isRenamed ? 'renamed' : 'modified';
}
