import { readdir, rm, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';

/** The number of files kept for each pool. A fork of an older one writes its file again. */
const MAX_FILES = 8;
/** Files of references, without their drafts. Earlier versions had one for all sources of a pool. */
const REFERENCES = /^references(?:-[0-9a-f]{64})?$/;

/**
 * Returns the path of a file in a pool's shared directory that has the references of a source, for
 * forks to link. All members of a pool are sources, and those who may fork one may not see the
 * branches of another: the name is the content's SHA-256.
 *
 * The pool has all objects of the references in such a file.
 */
export function sharedReferences(directory: string, hash: string): string {
  return `${directory}/references-${hash}`;
}

/** Removes all but the newest files of references. Forks keep theirs. */
export async function removeOldReferences(directory: string): Promise<void> {
  const names = (await readdir(directory)).filter((name) => REFERENCES.test(name));
  if (names.length <= MAX_FILES) return;
  const files: { readonly path: string; readonly timeMs: number }[] = [];
  for (const name of names) {
    const path = `${directory}/${name}`;
    const timeMs = (await stat(path).catch(ignoreMissing))?.mtimeMs;
    if (timeMs !== undefined) files.push({ path, timeMs });
  }
  files.sort((a, b) => b.timeMs - a.timeMs);
  for (const { path } of files.slice(MAX_FILES)) await rm(path, { force: true });
}
