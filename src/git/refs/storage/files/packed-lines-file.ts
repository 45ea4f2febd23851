import { NO_FILE } from '#base/files/file-stamp';
import { FallBackToGit } from '#git/command/in-process';
import type { LineOptions } from './packed-lines.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { readPackedLines } from './read-packed-lines.ts';
import { type EncodedRefs, type LinesSource, NO_LINES } from './ref-lines-cache.ts';

/** Larger files are left to git. 400,000 references take some 30 MB. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/** Returns the packed references of a repository, to be encoded when they have changed. */
export function packedLinesSource(packed: PackedRefsCache, path: string, options: LineOptions): LinesSource {
  return {
    stamp: packed.stamp(path) ?? NO_FILE,
    open: () => {
      const file = packed.open(path);
      if (file === undefined) return { stamp: NO_FILE, encoded: Promise.resolve(NO_LINES[options.digits]) };
      return { stamp: file.stamp, encoded: readAndClose(file, options) };
    },
  };
}

async function readAndClose(file: PackedRefsFile, options: LineOptions): Promise<EncodedRefs> {
  using open = file;
  if (open.source.size > MAX_FILE_BYTES) throw new FallBackToGit('packed-refs is too big');
  return { lines: await readPackedLines(open, options), symbolic: [] };
}
