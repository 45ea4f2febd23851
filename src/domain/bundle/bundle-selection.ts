import type { OidList } from '#git/names/oid-set';

/** Contents of a bundle of all references. */
export interface BundleSelection {
  /** Ids of objects that the pack contains in addition to those of the references. */
  readonly added: OidList;
  /** Ids of objects that it does not contain; those that do not exist are ignored. */
  readonly excluded: OidList;
}

/** The pseudo-revision of all references. */
export const ALL = '--all';

/** Yields the patterns of a selection: `--all`, then the ids. */
export function* patternsOf({ added, excluded }: BundleSelection): Generator<Buffer, void> {
  yield Buffer.from(ALL);
  for (const oid of added) yield Buffer.from(oid);
  for (const oid of excluded) yield Buffer.from(`^${oid}`);
}
