import { eachInTurn, mapInTurns } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';

export function beginsWith(bytes: Buffer, beginning: Buffer): boolean {
  return bytes.length >= beginning.length && beginning.compare(bytes, 0, beginning.length) === 0;
}

/**
 * Returns the prefixes in the order of their bytes, without those that begin with another. Sorts
 * them in slices of the event loop.
 *
 * @throws the reason of the signal.
 */
export async function withoutNested(prefixes: readonly Buffer[], signal?: AbortSignal): Promise<Buffer[]> {
  const kept: Buffer[] = [];
  const keep = (prefix: Buffer): void => {
    const last = kept.at(-1);
    if (last === undefined || !beginsWith(prefix, last)) kept.push(prefix);
  };
  await eachInTurn(await sortInTurns(prefixes, Buffer.compare, signal), keep, signal);
  return kept;
}

/**
 * Returns a test whether a name begins with one of some prefixes. It takes a binary search: a
 * client determines the number of prefixes, and a repository that of the names.
 *
 * @throws the reason of the signal.
 */
export async function startsWithAny(
  prefixes: readonly Uint8Array[],
  signal?: AbortSignal,
): Promise<(name: Buffer) => boolean> {
  const sorted = await withoutNested(await mapInTurns(prefixes, (each) => Buffer.from(each), signal), signal);
  return (name) => {
    let [from, to] = [0, sorted.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (Buffer.compare(sorted[middle] ?? name, name) <= 0) from = middle + 1;
      else to = middle;
    }
    // None of those that stay begins another, so only the last one up to a name can begin it.
    const last = sorted[from - 1];
    return last !== undefined && beginsWith(name, last);
  };
}
