import type { FileStamp } from '#base/files/file-stamp';
import { BoundedMap } from '#base/memory/bounded-map';
import { Sha1Xor } from '#base/sha1-xor';
import type { OidDigits } from '#git/names/object-id';
import { isChecksumLine } from '../checksum-lines.ts';
import { requireSorted } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';
import { packedRecords } from './scan-packed-refs.ts';

interface Kept {
  readonly stamp: FileStamp;
  readonly sum: Int32Array;
}

/** An entry is some 300 bytes. */
const MAX_ENTRIES = 10_000;
const NAMESPACE = Buffer.from('refs/');

/** Checksums of packed-refs files by repository, used while a file is unchanged. */
export class PackedSums {
  readonly #kept = new BoundedMap<string, Kept>({ maxEntries: MAX_ENTRIES });

  /**
   * Returns the sum of a file's lines `<id> <name>` that count.
   *
   * @throws {FallBackToGit} at a line that only git can interpret.
   */
  async get(gitDirectory: string, file: PackedRefsFile, digits: OidDigits): Promise<Int32Array> {
    const kept = this.#kept.get(gitDirectory);
    if (kept?.stamp === file.stamp) return kept.sum;
    requireSorted(file.source);
    const xor = new Sha1Xor();
    for await (const { block, records } of packedRecords(file, { from: NAMESPACE, digits })) {
      const text = block.toString('latin1');
      for (const { start, nameStart, nameEnd } of records)
        if (isChecksumLine(text, nameStart, nameEnd)) xor.add(block, start, nameEnd);
    }
    const sum = xor.words();
    this.#kept.set(gitDirectory, { stamp: file.stamp, sum });
    return sum;
  }

  forget(gitDirectory: string): void {
    this.#kept.delete(gitDirectory);
  }
}
