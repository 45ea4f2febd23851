const SLASH = 0x2f;

/** Returns the part of a path after its last slash. */
export function fileNameOf(path: Buffer): Buffer {
  return path.subarray(path.lastIndexOf(SLASH) + 1);
}

export function haveSameName(left: Buffer, right: Buffer): boolean {
  return fileNameOf(left).equals(fileNameOf(right));
}
