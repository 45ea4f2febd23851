import { mapFields } from '#base/fields-of';
import type { Patch, PatchProgress } from '#git/diff/parse/patch-reader';

/** Limits of a diff. There are no defaults: 0 means 0. */
export interface DiffLimits {
  /** True if `maxPatchBytes` drops patches, and the limits on the whole diff end it. */
  readonly enforce: boolean;
  /** True if patches are dropped after a safe limit was exceeded. */
  readonly collapse: boolean;
  /** True if files beyond a limit are listed nevertheless, without patches. */
  readonly collectAllPaths: boolean;
  /** Limit of files, which ends the diff. */
  readonly maxFiles: number;
  /** Limit of lines, or bytes, which ends the diff. `@@` lines do not count. */
  readonly maxLines: number;
  readonly maxBytes: number;
  readonly safeMaxFiles: number;
  readonly safeMaxLines: number;
  readonly safeMaxBytes: number;
  /** A patch of this many bytes is dropped. */
  readonly maxPatchBytes: number;
  /**
   * Overrides `maxPatchBytes`, by the extension of the new path with its dot, or by the whole name
   * of a file without one.
   */
  readonly maxPatchBytesFor?: ReadonlyMap<string, number>;
  /** Applies only `maxPatchBytes`. */
  readonly patchLimitsOnly?: boolean;
}

export const UNLIMITED: DiffLimits = {
  enforce: false,
  collapse: false,
  collectAllPaths: false,
  maxFiles: 0,
  maxLines: 0,
  maxBytes: 0,
  safeMaxFiles: 0,
  safeMaxLines: 0,
  safeMaxBytes: 0,
  maxPatchBytes: 0,
};

/** Upper bounds of the limits in a request. @see Gitaly: internal/gitaly/diff */
const UPPER_BOUNDS = {
  maxFiles: 5000,
  maxLines: 250_000,
  maxBytes: 5000 * 5120,
  safeMaxFiles: 500,
  safeMaxLines: 25_000,
  safeMaxBytes: 500 * 5120,
  maxPatchBytes: 512_000,
} as const satisfies Partial<DiffLimits>;

/** The result for one file. */
export interface Verdict {
  /** The patch is dropped because a safe limit was exceeded. */
  readonly isCollapsed: boolean;
  /** The patch is dropped because it is too long by itself. */
  readonly isTooLarge: boolean;
  /**
   * A limit on the whole diff was reached: the patch is dropped, and without `collectAllPaths` the
   * diff ends here.
   */
  readonly isOverflow: boolean;
}

const SHOWN: Verdict = { isCollapsed: false, isTooLarge: false, isOverflow: false };

/**
 * Counts the files, lines and bytes of a diff and decides what of it is shown, file by file:
 * {@link isWanted} may be called while a patch is read, {@link classify} once for each file, in
 * order.
 */
export class DiffLimiter {
  readonly #limits: DiffLimits;
  #files = 0;
  #lines = 0;
  #bytes = 0;
  #isOver = false;

  constructor(limits: DiffLimits) {
    const capped = mapFields(UPPER_BOUNDS, (bound, name) => Math.min(limits[name], bound));
    this.#limits = { ...limits, ...capped };
  }

  /**
   * True if a limit on the whole diff was reached: patches of later files are not even collected.
   */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * Reports whether the current file may still be shown with its patch. After the first `false`,
   * the result for the file stays `false`.
   */
  isWanted(toPath: Buffer, patch: PatchProgress): boolean {
    const { enforce, collapse } = this.#limits;
    const files = this.#files + 1;
    const lines = this.#lines + patch.lineCount;
    const bytes = this.#bytes + patch.byteCount;
    if (collapse && patch.lineCount > 0 && this.#isUnsafe(files, lines, bytes)) return false;
    return (
      !enforce || !(patch.patchBytes >= this.#maxPatchBytes(toPath) || this.#isTooMuch(files, lines, bytes))
    );
  }

  /** Counts a file. A file without a patch of git counts only as a file. */
  classify(toPath: Buffer, patch: Patch): Verdict {
    this.#files++;
    if (!patch.isPresent) return SHOWN;
    this.#lines += patch.lineCount;
    this.#bytes += patch.byteCount;
    const { enforce, collapse } = this.#limits;
    const isCollapsed =
      collapse && patch.lineCount > 0 && this.#isUnsafe(this.#files, this.#lines, this.#bytes);
    if (isCollapsed) this.#takeOff(patch.lineCount, patch.patchBytes);
    if (!enforce) return { ...SHOWN, isCollapsed };
    // A collapsed patch is classified once more, as an empty one.
    const patchBytes = isCollapsed ? 0 : patch.patchBytes;
    const isTooLarge = patchBytes >= this.#maxPatchBytes(toPath);
    if (isTooLarge) this.#takeOff(patch.lineCount, patchBytes);
    const isOverflow = this.#isTooMuch(this.#files, this.#lines, this.#bytes);
    if (isOverflow) this.#isOver = true;
    return { isCollapsed, isTooLarge, isOverflow };
  }

  /**
   * Subtracts a dropped patch. Its bytes include the `@@` lines, which were never added: the total
   * becomes a little too low, as in Gitaly.
   */
  #takeOff(lines: number, patchBytes: number): void {
    this.#lines -= lines;
    this.#bytes -= patchBytes;
  }

  #isUnsafe(files: number, lines: number, bytes: number): boolean {
    const { safeMaxFiles, safeMaxLines, safeMaxBytes } = this.#limits;
    return files > safeMaxFiles || lines > safeMaxLines || bytes > safeMaxBytes;
  }

  #isTooMuch(files: number, lines: number, bytes: number): boolean {
    const { maxFiles, maxLines, maxBytes, patchLimitsOnly = false } = this.#limits;
    return !patchLimitsOnly && (files > maxFiles || lines >= maxLines || bytes >= maxBytes);
  }

  #maxPatchBytes(path: Buffer): number {
    const { maxPatchBytes, maxPatchBytesFor } = this.#limits;
    if (maxPatchBytesFor === undefined || maxPatchBytesFor.size === 0) return maxPatchBytes;
    return maxPatchBytesFor.get(limitKey(path.toString())) ?? maxPatchBytes;
  }
}

/** Returns the part of a name from its last dot, or a name without a dot. */
function limitKey(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? name : name.slice(dot);
}
