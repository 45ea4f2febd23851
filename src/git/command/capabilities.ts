import { mapFields } from '#base/fields-of';

/**
 * A git version. The text after the third number (`.windows.1`, `-rc1`, `.gl1`) does not affect
 * features.
 */
export interface GitVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** The oldest git with which the server starts. */
export const MINIMUM_GIT = { major: 2, minor: 39, patch: 0 } as const satisfies GitVersion;

/**
 * The features that older supported versions lack, and that are used where they exist (facts: git's
 * release notes). test/git-versions.test.ts shows that they are used, and that responses are the
 * same without them.
 */
const SINCE = {
  /** Headers of hunks in Java show records and sealed classes. */
  javaRecords: [2, 40],
  /** `cat-file -Z`: NUL-terminated requests and answers. */
  catFileNul: [2, 42],
  /** Headers of hunks in C# show generic types. */
  csharpNames: [2, 45],
  /** `merge-tree --merge-base` with trees instead of commits, also as a line of `--stdin`. */
  mergeTreeOfTrees: [2, 45],
  /** `for-each-ref --exclude`. */
  forEachRefExclude: [2, 42],
  /** `for-each-ref --points-at` dereferences nested tags. */
  pointsAtNested: [2, 42],
  /** `rev-list --stdin` also accepts `--all`, `--not` and similar words. */
  revListStdinPseudo: [2, 42],
  /** The setting `attr.tree`. */
  attrTree: [2, 43],
  /** Estimates of similarity count the bytes after the last line feed. */
  similarityOfRest: [2, 44],
  /** `pack.allowPackReuse=multi`. */
  packReuseMulti: [2, 44],
  /** Merges write `AUTO_MERGE` as a reference, so hooks see it. */
  autoMergeReference: [2, 44],
  /** `pack-refs --auto`. */
  packRefsAuto: [2, 45],
  /** Repositories with reftable; `for-each-ref --include-root-refs` came with the same release. */
  reftable: [2, 45],
  /** `refs migrate`. */
  refsMigrate: [2, 46],
  /** `symref-update` in `update-ref --stdin`. */
  symrefUpdate: [2, 46],
  /** The reference-transaction hook gets no lines for reflogs. */
  hooksOmitReflogs: [2, 48],
  /**
   * A push changes references in two transactions: one for deletions, one for the other changes.
   */
  batchedPushes: [2, 51],
  /** Headers of hunks in shell scripts show the whole line. */
  bashNames: [2, 50],
  /** The driver `ini` for headers of hunks. */
  iniNames: [2, 50],
  /** `cat-file --batch-all-objects --filter`. */
  catFileFilter: [2, 50],
  diffPairs: [2, 50],
  /** The driver `r` for headers of hunks. */
  rNames: [2, 51],
  lastModified: [2, 52],
  /** `diff --raw` omits files that differ only in what an option such as `-w` ignores. */
  rawHidesIgnored: [2, 52],
  /** The message of a refusal by the reference-transaction hook names the phase. */
  namesHookPhase: [2, 54],
  /** A push reports why it skips one of several changes. */
  explainsRejections: [2, 54],
  /** The driver `scheme` knows other dialects of Lisp. */
  lispNames: [2, 55],
  /** There may be drivers that the in-process diff does not know. */
  laterDrivers: [2, 56],
} as const satisfies Readonly<Record<string, readonly [number, number]>>;

export type GitCapability = keyof typeof SINCE;
export type GitCapabilities = Readonly<Record<GitCapability, boolean>>;

/** Parses the output of `git version` (`git version 2.39.5`); `undefined` for anything else. */
export function parseGitVersion(output: string): GitVersion | undefined {
  const match = /^git version (\d+)\.(\d+)(?:\.(\d+))?/.exec(output);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

export function isAtLeast(
  version: GitVersion,
  wanted: { readonly major: number; readonly minor: number },
): boolean {
  return version.major > wanted.major || (version.major === wanted.major && version.minor >= wanted.minor);
}

/** Returns the oldest version with a feature: `2.46`. */
export function versionWith(capability: GitCapability): string {
  return SINCE[capability].join('.');
}

export function capabilitiesOf(version: GitVersion): GitCapabilities {
  return mapFields(SINCE, ([major, minor]) => isAtLeast(version, { major, minor }));
}
