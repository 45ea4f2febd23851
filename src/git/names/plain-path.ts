/** Reports whether git would print a path: no part is empty, `.` or `..`. */
export function isPlainPath(path: Uint8Array): boolean {
  // One character per byte: only dots and slashes matter.
  const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
  return !/(?:^|\/)(?:\.\.?)?(?:\/|$)/.test(text);
}
