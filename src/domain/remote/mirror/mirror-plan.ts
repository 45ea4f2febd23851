import { LoopSlice } from '#base/async/loop-turns';

/** References of both sides, by name, and whether they may be changed. */
export interface MirrorQuestion {
  readonly local: ReadonlyMap<string, string>;
  readonly remote: ReadonlyMap<string, string>;
  /** Full name of the local default branch. */
  readonly defaultBranch: string;
  /** Leaves references of the mirror that have commits which are not here. */
  readonly keepsDivergent: boolean;
  readonly isWanted: (name: string) => boolean;
  /** Reports whether a commit of the mirror is here, and an ancestor of a local one. */
  readonly isAncestor: (remoteOid: string, localOid: string) => Promise<boolean>;
}

export interface MirrorPlan {
  /** References for `git push`; the default branch is the first. */
  readonly refspecs: readonly string[];
  /** Names of references that were left, at most 100. */
  readonly divergent: readonly string[];
}

const MAX_DIVERGENT = 100;

/**
 * Decides what to push to a mirror: what is missing or different there. What only the mirror has is
 * deleted if the default branch has its commits, so that no work is lost.
 */
export async function planMirror(question: MirrorQuestion): Promise<MirrorPlan> {
  const { local, remote, defaultBranch, keepsDivergent, isWanted, isAncestor } = question;
  const refspecs: string[] = [];
  const divergent: string[] = [];
  // A client determines the number of patterns with which `isWanted` compares each name.
  const slice = new LoopSlice();
  for (const [name, oid] of local) {
    if (slice.isOver) await slice.pause();
    const remoteOid = remote.get(name);
    if (remoteOid === oid) continue;
    if (remoteOid !== undefined && keepsDivergent && !(await isAncestor(remoteOid, oid))) {
      if (isWanted(name) && divergent.length < MAX_DIVERGENT) divergent.push(name);
    } else if (isWanted(name)) refspecs.push(name);
  }
  const defaultOid = local.get(defaultBranch);
  if (defaultOid !== undefined && !keepsDivergent)
    for (const [name, oid] of remote) {
      if (slice.isOver) await slice.pause();
      if (!local.has(name) && isWanted(name) && (await isAncestor(oid, defaultOid)))
        refspecs.push(`:${name}`);
    }
  refspecs.sort((a, b) => Number(b === defaultBranch) - Number(a === defaultBranch));
  return { refspecs, divergent };
}
