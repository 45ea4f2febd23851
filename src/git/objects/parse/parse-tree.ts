import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { type Oid, type OidBytes, oidAt } from '#git/names/object-id';

export interface TreeEntry {
  /**
   * File type and permissions as in git: 0o100644, 0o100755, 0o120000, 0o040000, 0o160000, and
   * obsolete values.
   */
  readonly mode: number;
  /** Raw bytes, one path component. */
  readonly name: Buffer;
  readonly oid: Oid;
}

/**
 * Parses the contents of a tree object, in git's order: `<octal mode> <name>\0<raw oid>` without
 * separators. A tree may have a million entries, so it is parsed in slices of the event loop.
 *
 * @param oidBytes 20 (SHA-1) or 32 (SHA-256).
 * @throws {GitalyError} without a code when the data ends early, a mode is not octal, or a name is
 *   empty; `metadata.offset` is the position. The reason of the signal.
 */
export async function parseTreeInTurns(
  data: Buffer,
  oidBytes: OidBytes,
  signal?: AbortSignal,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const slice = new LoopSlice();
  for (const entry of entriesOf(data, oidBytes)) {
    entries.push(entry);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return entries;
}

const SPACE = 0x20;
const ZERO = 0x30;
const MAX_MODE_DIGITS = 7;

function* entriesOf(data: Buffer, oidBytes: OidBytes): Generator<TreeEntry, void, undefined> {
  for (let at = 0; at < data.length; ) {
    let [mode, space] = [0, at];
    for (let byte = data[space]; byte !== undefined && isOctal(byte); byte = data[++space])
      mode = mode * 8 + (byte - ZERO);
    const hasMode = data[space] === SPACE && space > at && space - at <= MAX_MODE_DIGITS;
    const nul = hasMode ? data.indexOf(0, space + 1) : -1;
    const end = nul + 1 + oidBytes;
    if (nul === -1 || nul === space + 1 || end > data.length) {
      throw new GitalyError('UNKNOWN', 'malformed tree object', { metadata: { offset: at } });
    }
    yield {
      mode,
      name: data.subarray(space + 1, nul),
      oid: oidAt(data, nul + 1, oidBytes),
    };
    at = end;
  }
}

function isOctal(byte: number): boolean {
  return byte >= ZERO && byte < ZERO + 8;
}
