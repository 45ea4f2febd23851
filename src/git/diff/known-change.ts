import type { IgnoredSpace } from './commands.ts';
import type { ChangeStatus } from './parse/raw-line.ts';

/** A change with known blobs, as `git diff --raw` would list it. git refuses inconsistent ones. */
export interface KnownChange {
  /** `undefined` for an unknown status. */
  readonly status: ChangeStatus | undefined;
  readonly oldMode: number;
  readonly newMode: number;
  readonly oldOid: string;
  readonly newOid: string;
  readonly path: Buffer;
  readonly oldPath: Buffer | undefined;
}

export interface DiffPairsOptions {
  readonly wordDiff: boolean;
  readonly ignoredSpace: IgnoredSpace | undefined;
  /**
   * An empty directory for temporary objects, which the caller removes. Required for versions of
   * git without `diff-pairs`.
   */
  readonly scratchDirectory?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}
