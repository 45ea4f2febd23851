/**
 * Returns a test whether a name begins with one of some prefixes. It takes a binary search: a
 * client determines the number of prefixes, and a repository that of the names.
 */
export function startsWithAny(prefixes: readonly Uint8Array[]): (name: Buffer) => boolean {
  const sorted: Buffer[] = [];
  for (const prefix of prefixes.map((each) => Buffer.from(each)).sort(Buffer.compare)) {
    const last = sorted.at(-1);
    // None of those that stay begins another, so only the last one up to a name can begin it.
    if (last === undefined || !beginsWith(prefix, last)) sorted.push(prefix);
  }
  return (name) => {
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (Buffer.compare(sorted[middle] ?? name, name) <= 0) from = middle + 1;
      else to = middle;
    }
    const last = sorted[from - 1];
    return last !== undefined && beginsWith(name, last);
  };
}

function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}
