import type { OidBytes } from '../objects/object-id.ts';
import { parseTree } from '../objects/parse/parse-tree.ts';
import { formatTree, type NewTreeEntry } from '../objects/write/format-tree.ts';
import { canonicalMode, kindOf } from './entry-kind.ts';
import { TreeCursor } from './tree-cursor.ts';

const SLASH = 0x2f;
const ZERO = 0x30;

/** Change of one name in a tree. */
export interface TreeChange {
  readonly name: Buffer;
  /** The current mode of the name; `undefined` if it does not exist. */
  readonly oldMode: number | undefined;
  /** The new entry; `undefined` to remove it. */
  readonly entry: { readonly mode: number; readonly oid: string } | undefined;
}

interface Step {
  readonly key: Buffer;
  /** Removes the current entry of the key. */
  drops: boolean;
  bytes: Buffer | undefined;
}

/**
 * Returns the contents of a tree object with some names changed. Unchanged entries are copied in
 * pieces, so that a change of one name in a directory of thousands costs little more than reading
 * its bytes. Modes that current git would not write become canonical.
 *
 * @param data contents of the tree object.
 * @param changes one for each name.
 * @throws {Error} as `formatTree`; {GitalyError} `malformed tree object`.
 */
export function changeTree(data: Buffer, changes: readonly TreeChange[], oidBytes: OidBytes): Buffer {
  return splice(data, changes, oidBytes) ?? rebuild(data, changes, oidBytes);
}

/** Copies the tree with changes; `undefined` for a tree that current git would not write. */
function splice(data: Buffer, changes: readonly TreeChange[], oidBytes: OidBytes): Buffer | undefined {
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

/**
 * Returns the steps in the order of the tree. A file that becomes a directory changes its position.
 */
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

/** Compares the current entry of a cursor, as git sorts it, with a key. */
function compareKey({ data, nameAt, nameEnd, mode }: TreeCursor, key: Buffer): number {
  const length = nameEnd - nameAt;
  const order = data.compare(key, 0, Math.min(key.length, length), nameAt, nameEnd);
  if (order !== 0) return order;
  // The key begins with the name.
  if (kindOf(mode) !== 'tree') return Math.sign(length - key.length);
  if (key.length === length) return 1;
  return SLASH - (key[length] ?? 0) || Math.sign(length + 1 - key.length);
}

/** Rebuilds a tree slowly, for trees made by old or unusual programs. */
function rebuild(data: Buffer, changes: readonly TreeChange[], oidBytes: OidBytes): Buffer {
  const entries = new Map<string, NewTreeEntry>();
  const twice: NewTreeEntry[] = [];
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
