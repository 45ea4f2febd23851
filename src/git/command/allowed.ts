/** What the house knows about a git subcommand before it starts one. A subcommand that is not listed is never started. */
export interface Subcommand {
  /** May change references: needs hooks, or their explicit absence, so that a cluster votes on what changes. */
  readonly updatesReferences: boolean;
  /** Takes `--end-of-options` between its options and the caller's words. */
  readonly endOfOptions: boolean;
  /** `attr.tree`: whether `.gitattributes` of HEAD are in force (else those of the empty tree, that is none). */
  readonly attributesOfHead: boolean;
  /** Moves packs, archives or diffs through its pipes: worth larger ones. */
  readonly bulk: boolean;
}

const PLAIN: Subcommand = { updatesReferences: false, endOfOptions: true, attributesOfHead: false, bulk: false };
const UPDATES: Subcommand = { ...PLAIN, updatesReferences: true };
const BARE: Subcommand = { ...PLAIN, endOfOptions: false };
const HEAD: Subcommand = { ...PLAIN, attributesOfHead: true };
const BULK: Subcommand = { ...PLAIN, bulk: true };

/** Every git subcommand that may be started (facts: Gitaly's command table, git's option parsers). */
export const SUBCOMMANDS = {
  am: UPDATES,
  apply: PLAIN,
  archive: { ...BARE, attributesOfHead: true, bulk: true },
  backfill: PLAIN,
  blame: BARE,
  bundle: BULK,
  'cat-file': HEAD,
  'check-attr': { ...BARE, attributesOfHead: true },
  'check-mailmap': PLAIN,
  'check-ref-format': BARE,
  checkout: { ...UPDATES, endOfOptions: false },
  clone: UPDATES,
  commit: UPDATES,
  'commit-graph': PLAIN,
  'commit-tree': PLAIN,
  config: PLAIN,
  'count-objects': PLAIN,
  diff: { ...HEAD, bulk: true },
  'diff-pairs': BULK,
  'diff-tree': PLAIN,
  'fast-export': PLAIN,
  fetch: UPDATES,
  'filter-repo': { ...UPDATES, endOfOptions: false },
  'for-each-ref': PLAIN,
  'format-patch': { ...HEAD, bulk: true },
  fsck: PLAIN,
  gc: PLAIN,
  grep: BARE,
  'hash-object': PLAIN,
  'index-pack': { ...BARE, bulk: true },
  init: PLAIN,
  'last-modified': PLAIN,
  log: HEAD,
  'ls-files': PLAIN,
  'ls-remote': PLAIN,
  'ls-tree': PLAIN,
  maintenance: PLAIN,
  merge: { ...UPDATES, attributesOfHead: true },
  'merge-base': PLAIN,
  'merge-file': PLAIN,
  'merge-tree': HEAD,
  mktag: PLAIN,
  mktree: PLAIN,
  'multi-pack-index': PLAIN,
  'pack-objects': BULK,
  'pack-redundant': PLAIN,
  'pack-refs': PLAIN,
  'patch-id': BARE,
  prune: PLAIN,
  'prune-packed': PLAIN,
  push: PLAIN,
  'range-diff': BARE,
  'receive-pack': { ...UPDATES, bulk: true },
  reflog: PLAIN,
  refs: PLAIN,
  remote: { ...UPDATES, endOfOptions: false },
  repack: PLAIN,
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
  'upload-pack': BULK,
  version: PLAIN,
  worktree: { ...UPDATES, endOfOptions: false, attributesOfHead: true },
} as const satisfies Readonly<Record<string, Subcommand>>;

export type SubcommandName = keyof typeof SUBCOMMANDS;

/** The entry of a subcommand, `undefined` for one that is not on the list. */
export function subcommand(name: string): Subcommand | undefined {
  // Own keys only: a name such as `constructor` is not a subcommand. The cast holds because hasOwn just proved the key.
  return Object.hasOwn(SUBCOMMANDS, name) ? SUBCOMMANDS[name as SubcommandName] : undefined;
}
