/** git treats a file as binary if there is a NUL near its start. */
const BINARY_LOOK_BYTES = 8000;

/** Reports whether the start of a file is that of a binary one, as git decides. */
export function looksBinary(bytes: Buffer): boolean {
  return bytes.subarray(0, BINARY_LOOK_BYTES).includes(0);
}

/** Returns the last part of a path, as text. */
export function baseName(path: Buffer): string {
  return path.subarray(path.lastIndexOf('/') + 1).toString();
}

/** The pointer that a commit has instead of a file. */
export interface LfsPointer {
  /** SHA-256 of the file. */
  readonly oid: string;
  readonly bytes: number;
}

const MAX_POINTER_BYTES = 1024;
const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\noid sha256:(?<oid>[0-9a-f]{64})\nsize (?<size>\d{1,15})\n$/;

/** Returns the pointer in a file; `undefined` if it is none. @see git-lfs: "Git LFS Specification" */
export function lfsPointerIn(bytes: Buffer): LfsPointer | undefined {
  if (bytes.length > MAX_POINTER_BYTES) return undefined;
  const { oid, size } = POINTER.exec(bytes.toString())?.groups ?? {};
  return oid === undefined ? undefined : { oid, bytes: Number(size) };
}
