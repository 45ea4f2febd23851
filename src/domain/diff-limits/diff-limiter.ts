import type { Patch, PatchProgress } from '#git/diff/patch-reader';

/** How much of a diff is shown. There are no defaults: 0 means 0. */
export interface DiffLimits {
  /** Whether `maxPatchBytes` drops patches, and the limits on the whole diff end it. */
  readonly enforce: boolean;
  /** Whether patches are dropped once a safe limit has been passed. */
  readonly collapse: boolean;
  /** Whether the files behind a limit are listed all the same, without patches. */
  readonly collectAllPaths: boolean;
  /** More files than this end the diff. */
  readonly maxFiles: number;
  /** So many lines, or bytes, end it. `@@` lines do not count. */
  readonly maxLines: number;
  readonly maxBytes: number;
  readonly safeMaxFiles: number;
  readonly safeMaxLines: number;
  readonly safeMaxBytes: number;
  /** A patch of so many bytes is dropped. */
  readonly maxPatchBytes: number;
  /** Overrides `maxPatchBytes`, by the extension of the new path with its dot, or by the whole name of a file without one. */
  readonly maxPatchBytesFor?: ReadonlyMap<string, number>;
  /** Only `maxPatchBytes` counts. */
  readonly patchLimitsOnly?: boolean;
}

/** No limit at all. */
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

/** What no request can exceed. @see Gitaly: internal/gitaly/diff */
const UPPER_BOUNDS = {
  maxFiles: 5000,
  maxLines: 250_000,
  maxBytes: 5000 * 5120,
  safeMaxFiles: 500,
  safeMaxLines: 25_000,
  safeMaxBytes: 500 * 5120,
  maxPatchBytes: 512_000,
} as const satisfies Partial<DiffLimits>;

/** What becomes of one file. */
export interface Verdict {
  /** The patch is dropped: a safe limit has been passed. */
  readonly isCollapsed: boolean;
  /** The patch is dropped: it is too long by itself. */
  readonly isTooLarge: boolean;
  /** A limit on the whole diff has been reached: the patch is dropped, and without `collectAllPaths` the diff ends here. */
  readonly isOverflow: boolean;
}

const SHOWN: Verdict = { isCollapsed: false, isTooLarge: false, isOverflow: false };

/**
 * Counts the files, lines and bytes of a diff and decides what of it is shown. Files are told one by one: {@link isWanted} may be asked while a patch is
 * read, {@link judge} once for each file, in order.
 */
export class DiffLimiter {
  readonly #limits: DiffLimits;
  #files = 0;
  #lines = 0;
  #bytes = 0;
  #isOver = false;

  constructor(limits: DiffLimits) {
    const capped = Object.entries(UPPER_BOUNDS).map(([name, bound]) => [
      name,
      Math.min(limits[name as keyof typeof UPPER_BOUNDS], bound),
    ]); // its own keys
    this.#limits = { ...limits, ...Object.fromEntries(capped) };
  }

  /** Whether a limit on the whole diff has been reached: patches of later files are not even collected. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the file that comes now may still be shown with its patch, as far as that is known. What is not wanted once never is again. */
  isWanted(toPath: Buffer, patch: PatchProgress): boolean {
    const { enforce, collapse } = this.#limits;
    const files = this.#files + 1;
    const lines = this.#lines + patch.lineCount;
    const bytes = this.#bytes + patch.byteCount;
    if (collapse && patch.lineCount > 0 && this.#isUnsafe(files, lines, bytes)) return false;
    return !enforce || !(patch.patchBytes >= this.#maxPatchBytes(toPath) || this.#isTooMuch(files, lines, bytes));
  }

  /** Takes a file into account. A file for which git printed no patch only counts as a file. */
  judge(toPath: Buffer, patch: Patch): Verdict {
    this.#files++;
    if (!patch.isPresent) return SHOWN;
    this.#lines += patch.lineCount;
    this.#bytes += patch.byteCount;
    const { enforce, collapse } = this.#limits;
    const isCollapsed = collapse && patch.lineCount > 0 && this.#isUnsafe(this.#files, this.#lines, this.#bytes);
    if (isCollapsed) this.#takeOff(patch.lineCount, patch.patchBytes);
    if (!enforce) return { ...SHOWN, isCollapsed };
    // A collapsed patch is judged once more, as an empty one.
    const patchBytes = isCollapsed ? 0 : patch.patchBytes;
    const isTooLarge = patchBytes >= this.#maxPatchBytes(toPath);
    if (isTooLarge) this.#takeOff(patch.lineCount, patchBytes);
    const isOverflow = this.#isTooMuch(this.#files, this.#lines, this.#bytes);
    if (isOverflow) this.#isOver = true;
    return { isCollapsed, isTooLarge, isOverflow };
  }

  /** Patch bytes hold the `@@` lines, which were never added: the total ends a little too low, as in Gitaly. */
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

/** The part from the last dot of a name on, or a name without a dot. */
function limitKey(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? name : name.slice(dot);
}
