const SLASH = Buffer.from('/');
/** The byte that follows the slash. */
const AFTER_SLASH = Buffer.from('0');
const NUL = Buffer.from('\0');

/** Returns the first name after all names with this prefix; `undefined` if there is none. */
export function behindPrefix(prefix: Buffer): Buffer | undefined {
  let length = prefix.length;
  while (prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  const behind = Buffer.from(prefix.subarray(0, length));
  behind[length - 1] = (behind[length - 1] ?? 0) + 1;
  return behind;
}

/** Returns the first name after this one. */
export function behindName(name: Buffer): Buffer {
  return Buffer.concat([name, NUL]);
}

/** Returns the boundaries of the names equal to this one, or below it. */
export function edgesBelow(name: Buffer): Buffer[] {
  return [name, behindName(name), Buffer.concat([name, SLASH]), Buffer.concat([name, AFTER_SLASH])];
}

/** Sorts names and removes duplicates. */
export function sortedNames(names: readonly Buffer[]): Buffer[] {
  const sorted = names.toSorted(Buffer.compare);
  return sorted.filter((name, index) => index === 0 || sorted[index - 1]?.equals(name) !== true);
}
