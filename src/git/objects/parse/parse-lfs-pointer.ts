/** Contents of a Git LFS pointer. */
export interface LfsPointer {
  /** SHA-256 of the file, 64 hex digits. */
  readonly fileOid: string;
  /** Bytes. */
  readonly fileSize: bigint;
}

/** Larger blobs are not pointers. */
export const MAX_LFS_POINTER_BYTES = 200;

const START = 'version https://git-lfs.github.com/spec';
// Without the `m` flag, for which a carriage return ends a line too.
const FILE_OID = /(?:^|\n)oid sha256:([0-9a-f]{64})(?=\n|$)/;
const FILE_SIZE = /(?:^|\n)size ([0-9]+)(?=\n|$)/;
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Parses an LFS pointer; `undefined` if a blob is not one. Gitaly's rule is looser than the format:
 * the first line must begin like a version, and an `oid` and a `size` line must exist, in any
 * order, with any text between them.
 */
export function parseLfsPointer(data: Buffer): LfsPointer | undefined {
  if (data.length > MAX_LFS_POINTER_BYTES) return undefined;
  const text = data.toString('latin1');
  if (!text.startsWith(START)) return undefined;
  const fileOid = FILE_OID.exec(text)?.[1];
  const size = FILE_SIZE.exec(text)?.[1];
  if (fileOid === undefined || size === undefined) return undefined;
  const fileSize = BigInt(size);
  return fileSize > MAX_INT64 ? undefined : { fileOid, fileSize };
}
