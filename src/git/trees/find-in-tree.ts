import { GitalyError } from '#base/gitaly-error';
import type { TreeEntry } from '../objects/parse-tree.ts';

const SPACE = 0x20;
const ZERO = 0x30;

/**
 * Finds the first entry of a name in the contents of a tree object, without making the others.
 *
 * @param oidBytes 20 (SHA-1) or 32 (SHA-256).
 * @throws {GitalyError} without a code of its own, as `parseTree` does, when the data in front of the entry is no tree's.
 */
export function findInTree(data: Buffer, name: Uint8Array, oidBytes: 20 | 32): TreeEntry | undefined {
  for (let at = 0; at < data.length; ) {
    const start = at;
    let mode = 0;
    for (let digit = data[at]; digit !== SPACE; digit = data[++at]) {
      if (digit === undefined || digit < ZERO || digit > ZERO + 7 || at - start > 6) throw malformed(start);
      mode = mode * 8 + digit - ZERO;
    }
    const nameAt = ++at;
    while (data[at] !== 0) if (++at >= data.length) throw malformed(start);
    const end = at + 1 + oidBytes;
    if (nameAt === start + 1 || end > data.length) throw malformed(start);
    if (at - nameAt === name.length && data.compare(name, 0, name.length, nameAt, at) === 0) {
      return { mode, name: data.subarray(nameAt, at), oid: data.toString('hex', at + 1, end) };
    }
    at = end;
  }
  return undefined;
}

function malformed(offset: number): GitalyError {
  return new GitalyError('UNKNOWN', 'malformed tree object', { metadata: { offset } });
}
