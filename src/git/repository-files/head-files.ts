import { readFileSync, type Stats } from 'node:fs';
import { type FileStamp, isSettled, stampOf } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';

/** Number of files that are kept: those of running calls, which read them for several purposes. */
const MAX_KEPT = 256;

/** The contents of HEAD files that were read a moment ago, shared by the readers of a call. */
export class HeadFiles {
  readonly #kept = new BoundedMap<string, { readonly stamp: FileStamp; readonly bytes: Buffer }>({
    maxEntries: MAX_KEPT,
    order: 'insertion',
  });

  /**
   * Returns the contents of a file, which must not be changed.
   *
   * @param stats Of the file, taken by this call.
   * @throws the system's error.
   */
  read(file: string, stats: Stats): Buffer {
    const stamp = stampOf(stats);
    const known = this.#kept.get(file);
    if (known?.stamp === stamp) return known.bytes;
    const bytes = keptBytes([readFileSync(file)]);
    if (isSettled(stats, Date.now())) this.#kept.set(file, { stamp, bytes });
    return bytes;
  }
}
