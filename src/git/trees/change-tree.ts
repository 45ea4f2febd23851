import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
import { sortInTurns } from '#base/async/sort-in-turns';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import type { OidBytes } from '../names/object-id.ts';
import { parseTreeInTurns } from '../objects/parse/parse-tree.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import { formatTree, formatTreeInTurns, type NewTreeEntry } from '../objects/write/format-tree.ts';

const SLASH = 0x2f;
const ZERO = 0x30;
/** A canonical mode is this much longer than the shortest one of an entry, which has 24 bytes. */
const MAX_GROWTH = 5 / 24;

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

interface TreeData {
  readonly data: Buffer;
  readonly oidBytes: OidBytes;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the contents of a tree object with some names changed. Unchanged entries are copied in
 * pieces, so that a change of one name in a directory of thousands costs little more than reading
 * its bytes; a larger one is read in slices of the event loop. Modes that current git would not
 * write become canonical.
 *
 * @param changes one for each name.
 * @throws {Error} as `formatTree`; {GitalyError} `malformed tree object`; the reason of the signal.
 */
export async function changeTree(tree: TreeData, changes: readonly TreeChange[]): Promise<Buffer> {
  return (await splice(tree, changes)) ?? (await rebuild(tree, changes));
}

/** Copies the tree with changes; `undefined` for a tree with unordered or duplicate names. */
async function splice(
  { data, oidBytes, signal }: TreeData,
  changes: readonly TreeChange[],
): Promise<Buffer | undefined> {
  const steps = await stepsOf(changes, signal);
  const output = new Output(data, steps);
  const cursor = new TreeCursor(data, oidBytes);
  const slice = new LoopSlice();
  let nextStep = 0;
  for (let start = 0; cursor.next(); start = cursor.nameEnd + 1 + oidBytes) {
    const end = cursor.nameEnd + 1 + oidBytes;
    for (let step = steps[nextStep]; step !== undefined; step = steps[++nextStep]) {
      const order = compareKey(cursor, step.key);
      if (order < 0) break;
      if (step.drops !== (order === 0)) return undefined;
      output.replace(start, order === 0 ? end : start, step.bytes);
    }
    const mode = canonicalMode(cursor.mode);
    if (mode !== cursor.mode || data[start] === ZERO)
      output.replace(start, cursor.nameAt, Buffer.from(`${mode.toString(8)} `));
    if (!slice.isOverAfterItem()) continue;
    output.copyUpTo(end);
    await slice.pause(signal);
  }
  const added = steps.slice(nextStep);
  if (added.some(({ drops }) => drops)) return undefined;
  await eachInTurn(added, ({ bytes }) => output.replace(data.length, data.length, bytes), signal);
  return output.finish();
}

/** A copy of a tree with replaced parts. */
class Output {
  readonly #data: Buffer;
  readonly #bytes: Buffer;
  #read = 0;
  #written = 0;

  constructor(data: Buffer, steps: readonly Step[]) {
    const added = steps.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), 0);
    this.#data = data;
    this.#bytes = Buffer.allocUnsafeSlow(data.length + Math.ceil(data.length * MAX_GROWTH) + added);
  }

  /** Replaces a part behind all that was copied. A part that was replaced is not replaced again. */
  replace(start: number, end: number, bytes: Buffer | undefined): void {
    if (start < this.#read) return;
    this.copyUpTo(start);
    if (bytes !== undefined) this.#written += bytes.copy(this.#bytes, this.#written);
    this.#read = end;
  }

  copyUpTo(end: number): void {
    if (end > this.#read) this.#written += this.#data.copy(this.#bytes, this.#written, this.#read, end);
    this.#read = Math.max(this.#read, end);
  }

  finish(): Buffer {
    this.copyUpTo(this.#data.length);
    return this.#bytes.subarray(0, this.#written);
  }
}

/**
 * Returns the steps in the order of the tree. A file that becomes a directory changes its position.
 */
async function stepsOf(
  changes: readonly TreeChange[],
  signal: AbortSignal | undefined,
): Promise<readonly Step[]> {
  const steps = new Map<string, Step>();
  const stepAt = (name: Buffer, mode: number): Step => {
    const key = sortKey(name, mode);
    const text = key.toString('latin1');
    const step = steps.get(text) ?? { key, drops: false, bytes: undefined };
    steps.set(text, step);
    return step;
  };
  await eachInTurn(
    changes,
    ({ name, oldMode, entry }) => {
      if (oldMode !== undefined) stepAt(name, oldMode).drops = true;
      if (entry !== undefined) stepAt(name, entry.mode).bytes = formatTree([{ ...entry, name }]);
    },
    signal,
  );
  return await sortInTurns([...steps.values()], (a, b) => Buffer.compare(a.key, b.key), signal);
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

/** Rebuilds a tree slowly, for trees made by faulty programs. */
async function rebuild(
  { data, oidBytes, signal }: TreeData,
  changes: readonly TreeChange[],
): Promise<Buffer> {
  const entries = new Map<string, NewTreeEntry>();
  const all: NewTreeEntry[] = [];
  const slice = new LoopSlice();
  for (const entry of await parseTreeInTurns(data, oidBytes, signal)) {
    const name = entry.name.toString('latin1');
    if (entries.has(name)) all.push(entry);
    else entries.set(name, { ...entry, mode: canonicalMode(entry.mode) });
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  for (const { name, entry } of changes) {
    if (entry === undefined) entries.delete(name.toString('latin1'));
    else entries.set(name.toString('latin1'), { name, ...entry });
  }
  for (const entry of entries.values()) {
    all.push(entry);
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return await formatTreeInTurns(all, signal);
}
