import { AsyncLocalStorage } from 'node:async_hooks';
import { FEATURE_FLAG_PREFIX } from '#rpc/common/header-names';
import type { Metadata } from '#rpc/common/metadata';

/**
 * The flags in an installation's database with their values: `gitaly_find_all_tags: true`. The
 * server decides on all other flags.
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

/** Limit of names whose headers are kept. Gitaly has some dozen flags. */
const MAX_HEADERS = 1000;
const headers = new Map<string, string>();

/** Adds flags: `gitaly_find_all_tags` is sent as `gitaly-feature-find-all-tags`. */
export function appendFeatureFlags(metadata: Metadata, flags: FeatureFlags): void {
  for (const name of Object.keys(flags))
    if (name.startsWith(PREFIX)) metadata.append(headerOf(name), flags[name] === true ? 'true' : 'false');
}

function headerOf(name: string): string {
  const known = headers.get(name);
  if (known !== undefined) return known;
  const header = `${FEATURE_FLAG_PREFIX}${name.slice(PREFIX.length).replaceAll('_', '-')}`;
  if (headers.size < MAX_HEADERS) headers.set(name, header);
  return header;
}
