import { AsyncLocalStorage } from 'node:async_hooks';
import { FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';

/** The flags that are in an installation's database, with their value: `gitaly_find_all_tags: true`. Others are left to the server. */
export type FeatureFlags = Readonly<Record<string, boolean>>;

/** Whom a flag may be on for, in the order in which they are asked. */
export interface FlagActors {
  readonly repository?: string;
  readonly user?: string;
  readonly project?: string;
  readonly group?: string;
}

const actors = new AsyncLocalStorage<FlagActors>();

/** GitLab's own flags have no such prefix and are not Gitaly's business. */
const PREFIX = 'gitaly_';

/** Runs `work`; flags of calls in it are those of these actors. */
export function withFeatureFlagActors<T>(of: FlagActors, work: () => T): T {
  return actors.run(of, work);
}

/** The actors of the surrounding `withFeatureFlagActors`. */
export function currentActors(): FlagActors {
  return actors.getStore() ?? {};
}

/** `gitaly_find_all_tags` travels as `gitaly-feature-find-all-tags`. */
export function featureFlagHeaders(flags: FeatureFlags): [key: string, value: string][] {
  return Object.entries(flags)
    .filter(([name]) => name.startsWith(PREFIX))
    .map(([name, isOn]) => [`${FEATURE_FLAG_PREFIX}${name.slice(PREFIX.length).replaceAll('_', '-')}`, String(isOn)]);
}
