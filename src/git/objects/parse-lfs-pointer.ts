/** What a Git LFS pointer says about the file that it stands for. */
export interface LfsPointer {
  /** SHA-256 of the file, 64 hex digits. */
  readonly fileOid: string;
  /** Bytes. */
  readonly fileSize: bigint;
}

/** A bigger blob is not looked at. */
export const MAX_LFS_POINTER_BYTES = 200;

const START = 'version https://git-lfs.github.com/spec';
// Not the `m` flag: for it a carriage return ends a line too.
const FILE_OID = /(?:^|\n)oid sha256:([0-9a-f]{64})(?=\n|$)/;
const FILE_SIZE = /(?:^|\n)size ([0-9]+)(?=\n|$)/;
const MAX_INT64 = 2n ** 63n - 1n;

/**
 * Reads an LFS pointer; `undefined` when a blob is none. Gitaly's rule, which is looser than the format: the first line has to begin like a
 * version, an `oid` and a `size` line have to be there, in any order, with anything between them.
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
