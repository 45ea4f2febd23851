import { GitalyError } from '#base/gitaly-error';

/** One entry of a tree object. */
export interface TreeEntry {
  /** File type and permissions as git keeps them: 0o100644, 0o100755, 0o120000, 0o040000, 0o160000, and older oddities. */
  readonly mode: number;
  /** Raw bytes, one path component. */
  readonly name: Buffer;
  readonly oid: string;
}

/**
 * Reads the contents of a tree object, in git's order: `<octal mode> <name>\0<raw oid>` without separators.
 *
 * @param oidBytes 20 (SHA-1) or 32 (SHA-256).
 * @throws {GitalyError} without a code of its own when the data ends early or a mode is not octal; `metadata.offset` says where.
 */
export function parseTree(data: Buffer, oidBytes: 20 | 32): TreeEntry[] {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < data.length; ) {
    const space = data.indexOf(0x20, at);
    const nul = space === -1 ? -1 : data.indexOf(0, space + 1);
    const end = nul + 1 + oidBytes;
    const mode = space === -1 ? '' : data.toString('latin1', at, space);
    if (nul === -1 || end > data.length || !/^[0-7]{1,7}$/.test(mode)) {
      throw new GitalyError('UNKNOWN', 'malformed tree object', { metadata: { offset: at } });
    }
    entries.push({
      mode: Number.parseInt(mode, 8),
      name: data.subarray(space + 1, nul),
      oid: data.toString('hex', nul + 1, end),
    });
    at = end;
  }
  return entries;
}
