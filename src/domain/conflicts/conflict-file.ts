import { eachInTurn, LoopSlice } from '#base/async/loop-turns';
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
export async function conflictFiles(
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

/** Replaces every occurrence of a text in bytes. */
async function replaceAll(
  bytes: Buffer,
  { text, replacement }: { readonly text: string; readonly replacement: Buffer },
  signal: AbortSignal,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  const slice = new LoopSlice();
  let start = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, start)) {
    parts.push(bytes.subarray(start, at), replacement);
    start = at + text.length;
    if (slice.isOverAfterItem()) await slice.pause(signal);
  }
  if (start === 0) return bytes;
  parts.push(bytes.subarray(start));
  return await concatenated(parts, signal);
}

async function concatenated(parts: readonly Buffer[], signal: AbortSignal): Promise<Buffer> {
  let bytes = 0;
  const measure = (part: Buffer): void => {
    bytes += part.length;
  };
  await eachInTurn(parts, measure, signal);
  const whole = Buffer.allocUnsafe(bytes);
  let at = 0;
  const copy = (part: Buffer): void => {
    at += part.copy(whole, at);
  };
  await eachInTurn(parts, copy, signal);
  return whole;
}

/**
 * Returns a file whose conflict markers name the sides by path, which clients expect, instead of by
 * commit id. Ids elsewhere in the file are replaced as well, as in Gitaly: in slices of the event
 * loop, as a file may consist of them.
 *
 * @throws the reason of the signal.
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
