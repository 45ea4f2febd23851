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
