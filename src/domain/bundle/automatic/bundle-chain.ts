import { integer, list, object, oneOf, parseAs, type Shaped, text, where } from '#base/shape';

/** A bundle of a chain, as the chain's file in the bucket describes it. */
const chainedBundle = object({
  /** Rises with every bundle; git downloads those that it does not have. */
  token: integer,
  key: text,
  /** Commit of the branch in the bundle. */
  oid: where(text, (oid) => /^[0-9a-f]{40,64}$/.test(oid)),
  bytes: integer,
  /** Milliseconds since 1970. */
  madeMs: integer,
});
export type ChainedBundle = Shaped<typeof chainedBundle>;

/** The bundles of a branch that are offered together: a full one, and increments on top of it. */
const chainFile = object({
  version: oneOf(1),
  /** Full name of the branch. */
  branch: text,
  /** Bundles in the order of their tokens; at least one. */
  bundles: where(list(chainedBundle), ({ length }) => length > 0),
  /** Bundles that are not offered any more. A client with their address may still read them. */
  retired: list(object({ key: text, retiredMs: integer })),
});
export type BundleChain = Omit<Shaped<typeof chainFile>, 'version'>;

/** Contents of the next bundle: everything, or the changes; `none` if no bundle is due. */
export type NextBundle = 'full' | 'increment' | 'none';

/** State of a repository that decides on its next bundle. */
export interface ChainFacts {
  readonly nowMs: number;
  readonly branch: string;
  readonly oid: string;
  /** False after a force push: the newest bundle has commits that the branch no longer has. */
  readonly isDescendant: boolean;
  /** Size of the objects that no bundle has. */
  readonly growthBytes: number;
  /** Age from which an outdated chain is not offered. */
  readonly maxAgeMs: number;
}

const WEEK_MS = 7 * 24 * 3600 * 1000;
/** Every bundle is a download of its own, so small changes are left to the following fetch. */
const MIN_INCREMENT_BYTES = 1024 * 1024;
/** Growth by a part of this size is worth an increment. */
const INCREMENT_SHARE = 1 / 50;
/** Increments together have at most this share of the full bundle. */
const MAX_INCREMENTS_SHARE = 1 / 2;
const MAX_BUNDLES = 30;

/** Decides on the next bundle of a repository: a full one each week, increments as it grows. */
export function nextBundle(chain: BundleChain | undefined, facts: ChainFacts): NextBundle {
  const [full, newest] = [chain?.bundles[0], chain?.bundles.at(-1)];
  if (chain === undefined || full === undefined || newest === undefined) return 'full';
  if (chain.branch !== facts.branch || !facts.isDescendant) return 'full';
  const isOld = facts.nowMs - full.madeMs >= WEEK_MS;
  if (newest.oid === facts.oid) return isOld && chain.bundles.length > 1 ? 'full' : 'none';
  const increments = chain.bundles.slice(1).reduce((sum, { bytes }) => sum + bytes, facts.growthBytes);
  const isDue =
    facts.growthBytes >= Math.max(MIN_INCREMENT_BYTES, full.bytes * INCREMENT_SHARE) ||
    facts.nowMs - newest.madeMs >= facts.maxAgeMs / 2;
  if (!isDue) return 'none';
  const isLong =
    chain.bundles.length >= MAX_BUNDLES ||
    increments > Math.max(full.bytes, MIN_INCREMENT_BYTES) * MAX_INCREMENTS_SHARE;
  return isOld || isLong ? 'full' : 'increment';
}

/**
 * Reports whether a chain may be offered: it is of the branch that HEAD names, has no commits that
 * the branch lost, and is current or not too old.
 */
export function isOfferable(chain: BundleChain, facts: Omit<ChainFacts, 'growthBytes'>): boolean {
  const newest = chain.bundles.at(-1);
  if (newest === undefined || chain.branch !== facts.branch || !facts.isDescendant) return false;
  return newest.oid === facts.oid || facts.nowMs - newest.madeMs < facts.maxAgeMs;
}

/** Returns the chain with a new bundle; a full bundle replaces all others. */
export function withBundle(
  chain: BundleChain | undefined,
  { kind, branch, bundle }: { kind: 'full' | 'increment'; branch: string; bundle: ChainedBundle },
): BundleChain {
  const { bundles = [], retired = [] } = chain ?? {};
  if (kind === 'increment') return { branch, retired, bundles: [...bundles, bundle] };
  const replaced = bundles.map(({ key }) => ({ key, retiredMs: bundle.madeMs }));
  return { branch, bundles: [bundle], retired: [...retired, ...replaced] };
}

/** Parses a chain's file. @returns `undefined` for one that this version does not understand. */
export function parseChain(json: string): BundleChain | undefined {
  const chain = parseAs(chainFile, json);
  return chain && { branch: chain.branch, bundles: chain.bundles, retired: chain.retired };
}

export function formatChain({ branch, bundles, retired }: BundleChain): string {
  return `${JSON.stringify({ version: 1, branch, bundles, retired }, undefined, 1)}\n`;
}
