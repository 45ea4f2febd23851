/** Properties of a git subcommand. A subcommand that is not listed is never started. */
export interface Subcommand {
  /**
   * May change references: needs hooks, or their explicit absence, so that a cluster votes on the
   * change.
   */
  readonly updatesReferences: boolean;
  /** Accepts `--end-of-options` between its options and the caller's arguments. */
  readonly endOfOptions: boolean;
  /**
   * Sets `attr.tree`: whether `.gitattributes` of HEAD apply, or those of the empty tree, which has
   * none.
   */
  readonly attributesOfHead: boolean;
  /**
   * Makes packs or maintains a repository, for seconds or minutes of processor time: it runs with a
   * lower priority than commands that take milliseconds. `pack-refs` does not, because writers wait
   * for its lock.
   */
  readonly yields: boolean;
  /** Moves packs, archives or diffs through its pipes, so larger pipes are useful. */
  readonly bulk: boolean;
  /**
   * Splits a range at its dots, wherever they are, and passes each half to another git as an
   * argument.
   */
  readonly cutsRanges: boolean;
  /** Compares two words outside the repository as files, unless `--` follows them. */
  readonly comparesFiles: boolean;
  /**
   * CPU time after which a process is ended. It applies to commands that match the patterns of
   * `.gitattributes`, which come from users: git's matching takes time that is exponential in the
   * number of stars. It also applies to those that compare contents line by line, in quadratic time
   * for large files without common lines.
   */
  readonly maxCpuSeconds: number | undefined;
  /** Options that are always added after the other options. */
  readonly fixedOptions: readonly string[];
}

/** Keeps a repository's own settings from running programs that compare or convert files. */
const NO_DIFF_PROGRAMS = ['--no-ext-diff', '--no-textconv'];

/** Limit for one diff. GitLab's own deadline for diffs is 30 s. */
export const MAX_DIFF_CPU_SECONDS = 30;
/** Limit for commands that may legitimately take long: merges of many commits, archives. */
const MAX_LONG_CPU_SECONDS = 600;

const PLAIN: Subcommand = {
  updatesReferences: false,
  endOfOptions: true,
  attributesOfHead: false,
  yields: false,
  bulk: false,
  cutsRanges: false,
  comparesFiles: false,
  maxCpuSeconds: undefined,
  fixedOptions: [],
};
const UPDATES: Subcommand = { ...PLAIN, updatesReferences: true };
const BARE: Subcommand = { ...PLAIN, endOfOptions: false };
const HEAD: Subcommand = { ...PLAIN, attributesOfHead: true };
const LONG_HEAD: Subcommand = { ...HEAD, maxCpuSeconds: MAX_LONG_CPU_SECONDS };
/** Compares contents. */
const COMPARES: Subcommand = { ...PLAIN, maxCpuSeconds: MAX_LONG_CPU_SECONDS };
const BULK: Subcommand = { ...PLAIN, bulk: true };
const PACKS: Subcommand = { ...BULK, yields: true };
const MAINTAINS: Subcommand = { ...PLAIN, yields: true };

/**
 * Every git subcommand that may be started (facts: Gitaly's command table, git's option parsers).
 */
export const SUBCOMMANDS = {
  am: { ...UPDATES, maxCpuSeconds: MAX_LONG_CPU_SECONDS },
  apply: PLAIN,
  archive: { ...LONG_HEAD, endOfOptions: false, bulk: true },
  backfill: PLAIN,
  blame: { ...COMPARES, endOfOptions: false },
  bundle: BULK,
  'cat-file': HEAD,
  'check-attr': { ...LONG_HEAD, endOfOptions: false },
  'check-mailmap': PLAIN,
  'check-ref-format': BARE,
  checkout: { ...UPDATES, endOfOptions: false },
  clone: UPDATES,
  commit: UPDATES,
  'commit-graph': MAINTAINS,
  'commit-tree': PLAIN,
  config: PLAIN,
  'count-objects': PLAIN,
  diff: {
    ...HEAD,
    bulk: true,
    comparesFiles: true,
    maxCpuSeconds: MAX_DIFF_CPU_SECONDS,
    fixedOptions: NO_DIFF_PROGRAMS,
  },
  'diff-pairs': { ...COMPARES, bulk: true, fixedOptions: NO_DIFF_PROGRAMS },
  'diff-tree': { ...COMPARES, fixedOptions: NO_DIFF_PROGRAMS },
  'fast-export': BULK,
  fetch: UPDATES,
  'filter-repo': { ...UPDATES, endOfOptions: false },
  'for-each-ref': PLAIN,
  'format-patch': { ...LONG_HEAD, bulk: true, fixedOptions: NO_DIFF_PROGRAMS },
  fsck: PLAIN,
  gc: MAINTAINS,
  grep: { ...BARE, bulk: true, maxCpuSeconds: MAX_LONG_CPU_SECONDS },
  'hash-object': PLAIN,
  'index-pack': { ...BARE, bulk: true },
  init: PLAIN,
  'last-modified': PLAIN,
  log: LONG_HEAD,
  'ls-files': PLAIN,
  'ls-remote': PLAIN,
  'ls-tree': PLAIN,
  maintenance: PLAIN,
  merge: { ...LONG_HEAD, updatesReferences: true },
  'merge-base': PLAIN,
  'merge-file': COMPARES,
  'merge-tree': LONG_HEAD,
  mktag: PLAIN,
  mktree: PLAIN,
  'multi-pack-index': MAINTAINS,
  'pack-objects': PACKS,
  'pack-redundant': PLAIN,
  'pack-refs': PLAIN,
  'patch-id': { ...COMPARES, endOfOptions: false },
  prune: MAINTAINS,
  'prune-packed': MAINTAINS,
  push: PLAIN,
  'range-diff': { ...COMPARES, endOfOptions: false, cutsRanges: true },
  'receive-pack': { ...UPDATES, bulk: true },
  reflog: PLAIN,
  refs: PLAIN,
  remote: { ...UPDATES, endOfOptions: false },
  repack: MAINTAINS,
  replay: PLAIN,
  'rev-list': BARE,
  'rev-parse': { ...BARE, attributesOfHead: true },
  show: PLAIN,
  'show-index': PLAIN,
  'show-ref': PLAIN,
  'symbolic-ref': UPDATES,
  tag: UPDATES,
  'unpack-objects': { ...BARE, bulk: true },
  'update-ref': { ...UPDATES, attributesOfHead: true },
  'update-server-info': PLAIN,
  'upload-archive': { ...BARE, bulk: true },
  'upload-pack': PACKS,
  version: PLAIN,
  worktree: { ...LONG_HEAD, updatesReferences: true, endOfOptions: false },
} as const satisfies Readonly<Record<string, Subcommand>>;

/**
 * Readers that start no other process: no hook, no half of a connection, no second git. Others may
 * do so, with the settings of some repository or version.
 */
export const STARTS_NONE: ReadonlySet<string> = new Set<keyof typeof SUBCOMMANDS>([
  'cat-file',
  'check-attr',
  'check-ref-format',
  'count-objects',
  'diff',
  'diff-pairs',
  'diff-tree',
  'for-each-ref',
  'hash-object',
  'last-modified',
  'log',
  'ls-files',
  'ls-tree',
  'merge-base',
  'merge-tree',
  'mktag',
  'mktree',
  'patch-id',
  'rev-list',
  'rev-parse',
  'show-ref',
]);

export type SubcommandName = keyof typeof SUBCOMMANDS;

/** Returns the entry of a subcommand, or `undefined` if it is not listed. */
export function subcommand(name: string): Subcommand | undefined {
  return isSubcommand(name) ? SUBCOMMANDS[name] : undefined;
}

export function isSubcommand(name: string): name is SubcommandName {
  // Own keys only: a name such as `constructor` is not a subcommand.
  return Object.hasOwn(SUBCOMMANDS, name);
}
