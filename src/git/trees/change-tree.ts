import { formatTree } from '../objects/format-tree.ts';
import { parseTree, type TreeEntry } from '../objects/parse-tree.ts';
import { canonicalMode, kindOf } from './entry-kind.ts';
import { TreeCursor } from './tree-cursor.ts';

const SLASH = 0x2f;
const ZERO = 0x30;

/** What happens to one name of a tree. */
export interface TreeChange {
  readonly name: Buffer;
  /** The mode that the name has in the tree now; `undefined` when it is not there. */
  readonly oldMode: number | undefined;
  /** What it shall be; `undefined` to remove it. */
  readonly entry: { readonly mode: number; readonly oid: string } | undefined;
}

interface Step {
  readonly key: Buffer;
  /** What stands under the key in the tree is dropped. */
  drops: boolean;
  bytes: Buffer | undefined;
}

/**
 * The contents of a tree object with some names changed. What is not changed is copied in pieces, so that a change of one name in a
 * directory of thousands costs little more than looking through its bytes. Modes that today's git would not write become canonical.
 *
 * @param data contents of the tree object.
 * @param changes one for each name.
 * @throws {Error} as `formatTree`; {GitalyError} `malformed tree object`.
 */
export function changeTree(data: Buffer, changes: readonly TreeChange[], oidBytes: 20 | 32): Buffer {
  return splice(data, changes, oidBytes) ?? rebuild(data, changes, oidBytes);
}

/** `undefined` when the tree is not one that today's git writes. */
function splice(data: Buffer, changes: readonly TreeChange[], oidBytes: 20 | 32): Buffer | undefined {
  const steps = stepsOf(changes);
  const parts: Buffer[] = [];
  const cursor = new TreeCursor(data, oidBytes);
  let nextStep = 0;
  let copied = 0;
  for (let start = 0; cursor.next(); start = cursor.nameEnd + 1 + oidBytes) {
    if (canonicalMode(cursor.mode) !== cursor.mode || data[start] === ZERO) return undefined;
    for (let step = steps[nextStep]; step !== undefined; step = steps[++nextStep]) {
      const order = compareKey(cursor, step.key);
      if (order < 0) break;
      if (step.drops !== (order === 0)) return undefined;
      parts.push(data.subarray(copied, start));
      if (step.bytes !== undefined) parts.push(step.bytes);
      copied = order === 0 ? cursor.nameEnd + 1 + oidBytes : start;
    }
  }
  parts.push(data.subarray(copied));
  for (const { drops, bytes } of steps.slice(nextStep)) {
    if (drops) return undefined;
    if (bytes !== undefined) parts.push(bytes);
  }
  return Buffer.concat(parts);
}

/** In the order of the tree. A file that becomes a directory leaves one place and takes another. */
function stepsOf(changes: readonly TreeChange[]): Step[] {
  const steps = new Map<string, Step>();
  const stepAt = (name: Buffer, mode: number): Step => {
    const key = sortKey(name, mode);
    const text = key.toString('latin1');
    const step = steps.get(text) ?? { key, drops: false, bytes: undefined };
    steps.set(text, step);
    return step;
  };
  for (const { name, oldMode, entry } of changes) {
    if (oldMode !== undefined) stepAt(name, oldMode).drops = true;
    if (entry !== undefined) stepAt(name, entry.mode).bytes = formatTree([{ ...entry, name }]);
  }
  return [...steps.values()].sort((a, b) => Buffer.compare(a.key, b.key));
}

function sortKey(name: Buffer, mode: number): Buffer {
  return kindOf(mode) === 'tree' ? Buffer.concat([name, Buffer.of(SLASH)]) : name;
}

/** Compares the entry that a cursor stands on, as git sorts it, with a key. */
function compareKey({ data, nameAt, nameEnd, mode }: TreeCursor, key: Buffer): number {
  const length = nameEnd - nameAt;
  const order = data.compare(key, 0, Math.min(key.length, length), nameAt, nameEnd);
  if (order !== 0) return order;
  // The key begins with the name.
  if (kindOf(mode) !== 'tree') return Math.sign(length - key.length);
  if (key.length === length) return 1;
  return SLASH - (key[length] ?? 0) || Math.sign(length + 1 - key.length);
}

/** The slow way, for trees that were made by old or strange programs. */
function rebuild(data: Buffer, changes: readonly TreeChange[], oidBytes: 20 | 32): Buffer {
  const entries = new Map<string, TreeEntry>();
  const twice: TreeEntry[] = [];
  for (const entry of parseTree(data, oidBytes)) {
    const name = entry.name.toString('latin1');
    if (entries.has(name)) twice.push(entry);
    else entries.set(name, { ...entry, mode: canonicalMode(entry.mode) });
  }
  for (const { name, entry } of changes) {
    if (entry === undefined) entries.delete(name.toString('latin1'));
    else entries.set(name.toString('latin1'), { name, ...entry });
  }
  return formatTree([...entries.values(), ...twice]);
}
