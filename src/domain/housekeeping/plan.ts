/** A strategy for repacking objects; the names are those of Gitaly's metrics. */
export type RepackStrategy =
  | 'incremental_with_unreachable'
  | 'geometric'
  | 'full_with_cruft'
  | 'full_with_unreachable';

export interface RepackPlan {
  readonly strategy: RepackStrategy;
  readonly writeBitmap: boolean;
  readonly writeMultiPackIndex: boolean;
  /**
   * Unreachable objects from before this time, in milliseconds since 1970, are removed; only with
   * `full_with_cruft`. `undefined` keeps all.
   */
  readonly expireBeforeMs?: number;
}

/** Removes unreachable loose objects from before a time, in milliseconds since 1970. */
export interface PrunePlan {
  readonly expireBeforeMs: number;
}

export interface CommitGraphPlan {
  /** Writes all layers anew instead of adding one. */
  readonly replaceChain: boolean;
}

/** The maintenance of one run; a part that is `undefined` or false is not needed. */
export interface MaintenancePlan {
  readonly repack?: RepackPlan | undefined;
  readonly prune?: PrunePlan | undefined;
  readonly packReferences: boolean;
  readonly commitGraph?: CommitGraphPlan | undefined;
}

export type MaintenanceTask = 'repack' | 'prune' | 'packReferences' | 'commitGraph';

/** Returns the part of a plan that consists of these tasks. */
export function restrictPlan(plan: MaintenancePlan, tasks: ReadonlySet<MaintenanceTask>): MaintenancePlan {
  return {
    repack: tasks.has('repack') ? plan.repack : undefined,
    prune: tasks.has('prune') ? plan.prune : undefined,
    packReferences: tasks.has('packReferences') && plan.packReferences,
    commitGraph: tasks.has('commitGraph') ? plan.commitGraph : undefined,
  };
}

export function isEmptyPlan({ repack, prune, packReferences, commitGraph }: MaintenancePlan): boolean {
  return repack === undefined && prune === undefined && !packReferences && commitGraph === undefined;
}
