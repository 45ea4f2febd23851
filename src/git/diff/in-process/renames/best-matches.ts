/** A removed and an added file that may be a rename. */
export interface Candidate {
  readonly source: number;
  readonly target: number;
  /** Of 60,000. */
  readonly score: number;
  readonly hasSameName: boolean;
}

/** Candidates that git keeps for each target. @see git: diffcore-rename.c, NUM_CANDIDATE_PER_DST */
const MAX_CANDIDATES = 4;

/**
 * Returns the best candidates of one target in the order in which git keeps them, which decides
 * between equal ones.
 */
export function bestCandidates(all: readonly Candidate[]): Candidate[] {
  const kept: (Candidate | undefined)[] = Array.from({ length: MAX_CANDIDATES });
  for (const candidate of all) {
    let worst = 0;
    for (let index = 1; index < kept.length; index++)
      if (compare(kept[index], kept[worst]) > 0) worst = index;
    if (compare(kept[worst], candidate) > 0) kept[worst] = candidate;
  }
  return kept.filter((candidate) => candidate !== undefined);
}

/**
 * Chooses the renames among the best candidates of all targets: each source and each target at most
 * once, the most similar first.
 */
export function chooseRenames(candidates: readonly Candidate[], minimumScore: number): Candidate[] {
  const [sources, targets] = [new Set<number>(), new Set<number>()];
  return candidates.toSorted(compare).filter((candidate) => {
    const { source, target, score } = candidate;
    if (score < minimumScore || sources.has(source) || targets.has(target)) return false;
    sources.add(source);
    targets.add(target);
    return true;
  });
}

/** Orders the better candidate first, and missing ones last. */
function compare(left: Candidate | undefined, right: Candidate | undefined): number {
  if (left === undefined) return right === undefined ? 0 : 1;
  if (right === undefined) return -1;
  return right.score - left.score || Number(right.hasSameName) - Number(left.hasSameName);
}
