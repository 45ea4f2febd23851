import { AsyncLocalStorage } from 'node:async_hooks';
import { FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';

/**
 * The flags in an installation's database with their values: `gitaly_find_all_tags: true`. The
 * server decides on others.
 */
export type FeatureFlags = Readonly<Record<string, boolean>>;

/** Actors for which a flag may be on, in the order in which they are checked. */
export interface FlagActors {
  readonly repository?: string;
  readonly user?: string;
  readonly project?: string;
  readonly group?: string;
}

const actors = new AsyncLocalStorage<FlagActors>();

/** Prefix of Gitaly's flags; GitLab's own flags have none. */
const PREFIX = 'gitaly_';

/** Runs `work` with the flags of these actors for its calls. */
export function withFeatureFlagActors<T>(of: FlagActors, work: () => T): T {
  return actors.run(of, work);
}

/** Returns the actors of the surrounding `withFeatureFlagActors`. */
export function currentActors(): FlagActors {
  return actors.getStore() ?? {};
}

/**
 * Returns metadata for flags: `gitaly_find_all_tags` is sent as `gitaly-feature-find-all-tags`.
 */
export function featureFlagHeaders(flags: FeatureFlags): [key: string, value: string][] {
  return Object.entries(flags)
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, isOn]) => [
      `${FEATURE_FLAG_PREFIX}${name.slice(PREFIX.length).replaceAll('_', '-')}`,
      String(isOn),
    ]);
}
