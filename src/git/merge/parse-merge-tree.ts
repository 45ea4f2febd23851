import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import { isOid, OID_DIGITS, OID_SOURCE } from '../names/object-id.ts';

/** A conflicting file as it is on one side. */
export interface ConflictEntry {
  readonly mode: number;
  readonly oid: string;
  /** 1 ancestor, 2 ours, 3 theirs. */
  readonly stage: 1 | 2 | 3;
  /** Raw bytes. */
  readonly path: Buffer;
}

/** A message of `git merge-tree`, for people and logs. */
export interface MergeMessage {
  readonly paths: readonly Buffer[];
  /** `Auto-merging`, `CONFLICT (contents)`. */
  readonly type: string;
  /** Text including its line feed. */
  readonly text: Buffer;
}

export interface MergeTreeOutput {
  /** Tree with conflict markers in the conflicting files. */
  readonly treeOid: string;
  /** In git's order: by path, then stage. */
  readonly conflicts: readonly ConflictEntry[];
  readonly messages: readonly MergeMessage[];
}

const ENTRY = new RegExp(String.raw`^([0-7]{6}) (${OID_SOURCE}) ([1-3])\t`);
/** Bytes of the output in an error. */
const SHOWN_BYTES = 4000;
const ENTRY_HEAD_BYTES = 6 + 1 + OID_DIGITS.sha256 + 1 + 1 + 1;

/**
 * Parses the output of `git merge-tree --write-tree -z`: `<tree>\0`; for every side of a
 * conflicting file `<mode> <oid> <stage>\t<path>\0`; an empty field; messages `<n>\0<path>\0 (n
 * times) <type>\0<text>\0`. A clean merge may end after the tree. Advice that older versions of git
 * print afterwards is ignored. Thousands of conflicts are parsed in slices of the event loop.
 *
 * @throws {GitalyError} `couldn't parse merge tree output: …`, without a code; `metadata.offset` is
 *   the position in the input; the reason of the signal.
 */
export async function parseMergeTree(output: Buffer, signal?: AbortSignal): Promise<MergeTreeOutput> {
  const slice = new LoopSlice();
  const fields = new Fields(output);
  const treeOid = fields.next().toString('latin1');
  if (!isOid(treeOid)) throw malformed(output, 0);
  const conflicts: ConflictEntry[] = [];
  while (!fields.isAtEnd) {
    const at = fields.offset;
    const field = fields.next();
    if (field.length === 0) break;
    conflicts.push(parseEntry(field) ?? fail(output, at));
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  const messages: MergeMessage[] = [];
  while (fields.hasNext) {
    messages.push(parseMessage(fields, output));
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  return { treeOid, conflicts, messages };
}

function parseEntry(field: Buffer): ConflictEntry | undefined {
  const [head, mode = '', oid = '', stage] = ENTRY.exec(field.toString('latin1', 0, ENTRY_HEAD_BYTES)) ?? [];
  if (head === undefined || head.length === field.length) return undefined;
  const number = stage === '1' ? 1 : stage === '2' ? 2 : 3;
  return { mode: Number.parseInt(mode, 8), oid, stage: number, path: field.subarray(head.length) };
}

function parseMessage(fields: Fields, output: Buffer): MergeMessage {
  const at = fields.offset;
  const count = fields.next().toString('latin1');
  if (!/^\d{1,9}$/.test(count)) throw malformed(output, at);
  const paths: Buffer[] = [];
  while (paths.length < Number(count)) paths.push(fields.next());
  return { paths, type: fields.next().toString(), text: fields.next() };
}

/** Consecutive NUL-terminated fields. */
class Fields {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get offset(): number {
    return this.#at;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#data.length;
  }

  get hasNext(): boolean {
    return this.#data.includes(0, this.#at);
  }

  next(): Buffer {
    const end = this.#data.indexOf(0, this.#at);
    if (end === -1) throw malformed(this.#data, this.#at);
    const field = this.#data.subarray(this.#at, end);
    this.#at = end + 1;
    return field;
  }
}

function fail(output: Buffer, offset: number): never {
  throw malformed(output, offset);
}

function malformed(output: Buffer, offset: number): GitalyError {
  const text = output.toString('utf8', 0, SHOWN_BYTES).replaceAll('\0', '\\x00');
  return new GitalyError('UNKNOWN', `couldn't parse merge tree output: ${text.slice(0, 1000)}`, {
    metadata: { offset },
  });
}
