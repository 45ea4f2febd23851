import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
import { GitalyError } from '#base/gitaly-error';
import type { ConflictEntry } from '#git/merge/parse-merge-tree';

/** A path that a merge left in conflict, and the sides that have an entry there. */
export interface ConflictFile {
  readonly path: Buffer;
  readonly isInAncestor: boolean;
  readonly isInOurs: boolean;
  readonly isInTheirs: boolean;
  /** 0 if ours has no entry. */
  readonly ourMode: number;
}

/**
 * Groups the entries by path, in the order of the first of each. Long lists are handled in slices
 * of the event loop.
 *
 * @throws the reason of the signal.
 */
export async function groupByPath(
  entries: readonly ConflictEntry[],
  signal: AbortSignal,
): Promise<ConflictFile[]> {
  const files = new Map<string, ConflictFile>();
  const add = ({ path, stage, mode }: ConflictEntry): void => {
    const key = path.toString('latin1');
    const none = { path, isInAncestor: false, isInOurs: false, isInTheirs: false, ourMode: 0 };
    const file = files.get(key) ?? none;
    if (stage === 1) files.set(key, { ...file, isInAncestor: true });
    else if (stage === 2) files.set(key, { ...file, isInOurs: true, ourMode: mode });
    else files.set(key, { ...file, isInTheirs: true });
  };
  await eachInTurn(entries, add, signal);
  return [...files.values()];
}

interface Replacement {
  readonly text: string;
  readonly replacement: Buffer;
}

/**
 * Limit of the file that clients get. Files that are read have half of that; one that consists of
 * ids could get a hundred times as large.
 */
const MAX_NAMED_BYTES = 128 << 20;

/**
 * Replaces every occurrence of a text in bytes. The occurrences are searched twice, because an
 * object for each of a million would keep the garbage collector busy for longer than the slices.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED.
 */
async function replaceAll(
  bytes: Buffer,
  { text, replacement }: Replacement,
  signal: AbortSignal,
): Promise<Buffer> {
  let count = 0;
  await eachOccurrence(bytes, text, () => void count++, signal);
  if (count === 0) return bytes;
  const size = bytes.length + count * (replacement.length - text.length);
  if (size > MAX_NAMED_BYTES)
    throw new GitalyError(
      'RESOURCE_EXHAUSTED',
      `file in conflict has ${size} bytes with the paths of its sides, more than ${MAX_NAMED_BYTES}`,
    );
  const whole = Buffer.allocUnsafe(size);
  let start = 0;
  let length = 0;
  const replaceAt = (at: number): void => {
    length += bytes.copy(whole, length, start, at);
    length += replacement.copy(whole, length);
    start = at + text.length;
  };
  await eachOccurrence(bytes, text, replaceAt, signal);
  bytes.copy(whole, length, start);
  return whole;
}

/** Bytes that are searched at once. If they consist of occurrences, that takes some milliseconds. */
const WINDOW_BYTES = 32 << 10;

/** Calls a function with the place of each occurrence of a text, in slices of the event loop. */
async function eachOccurrence(
  bytes: Buffer,
  text: string,
  handle: (at: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const slice = new LoopSlice();
  for (let start = 0; ; ) {
    const window = bytes.subarray(start, start + WINDOW_BYTES);
    let next = 0;
    for (let at = window.indexOf(text); at !== -1; at = window.indexOf(text, next)) {
      handle(start + at);
      next = at + text.length;
    }
    if (start + window.length >= bytes.length) return;
    // The end of the window may be the beginning of an occurrence.
    start += Math.max(next, WINDOW_BYTES - text.length + 1);
    await slice.pause(signal);
  }
}

/**
 * Returns a file whose conflict markers name the sides by path, which clients expect, instead of by
 * commit id. Ids elsewhere in the file are replaced as well, as in Gitaly: in slices of the event
 * loop, as a file may consist of them.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED for a result of more than 128 MiB; the reason of the
 *   signal.
 */
export async function withPaths(
  content: Buffer,
  commits: { readonly ours: string; readonly theirs: string },
  paths: { readonly ours: Buffer; readonly theirs: Buffer },
  signal: AbortSignal,
): Promise<Buffer> {
  const named = await replaceAll(content, { text: commits.ours, replacement: paths.ours }, signal);
  return await replaceAll(named, { text: commits.theirs, replacement: paths.theirs }, signal);
}
