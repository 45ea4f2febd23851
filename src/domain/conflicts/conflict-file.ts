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

/** Groups the entries by path, in the order of the first of each. */
export function conflictFiles(entries: readonly ConflictEntry[]): ConflictFile[] {
  const files = new Map<string, ConflictFile>();
  for (const { path, stage, mode } of entries) {
    const key = path.toString('latin1');
    const none = { path, isInAncestor: false, isInOurs: false, isInTheirs: false, ourMode: 0 };
    const file = files.get(key) ?? none;
    if (stage === 1) files.set(key, { ...file, isInAncestor: true });
    else if (stage === 2) files.set(key, { ...file, isInOurs: true, ourMode: mode });
    else files.set(key, { ...file, isInTheirs: true });
  }
  return [...files.values()];
}

/** Replaces every occurrence of a text in bytes. */
function replaceAll(bytes: Buffer, text: string, replacement: Buffer): Buffer {
  const parts: Buffer[] = [];
  let start = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, start)) {
    parts.push(bytes.subarray(start, at), replacement);
    start = at + text.length;
  }
  return start === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(start)]);
}

/**
 * Returns a file whose conflict markers name the sides by path, which clients expect, instead of by
 * commit id. Ids elsewhere in the file are replaced as well, as in Gitaly.
 */
export function withPaths(
  content: Buffer,
  commits: { readonly ours: string; readonly theirs: string },
  paths: { readonly ours: Buffer; readonly theirs: Buffer },
): Buffer {
  return replaceAll(replaceAll(content, commits.ours, paths.ours), commits.theirs, paths.theirs);
}
