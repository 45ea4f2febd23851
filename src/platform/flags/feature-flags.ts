/**
 * A feature flag: a switch that travels with a request. A client sends `gitaly-feature-<name with
 * dashes>: true`; any other value disables the flag. `gitaly-feature-ruby-<name>`, an older form,
 * counts if the plain one is not sent. A flag that was not sent has its declared default.
 * Undeclared flags are accepted and passed on.
 */
export interface FeatureFlag {
  /** Name with underscores, as in logs, metrics and Rails (`gitaly_<name>`). */
  readonly name: string;
  readonly onByDefault: boolean;
}

/** Common prefix of the metadata keys of flags. */
export const FLAG_PREFIX = 'gitaly-feature-';
/** Prefix of flags that older clients send for Gitaly's former Ruby half. */
const RUBY_PREFIX = `${FLAG_PREFIX}ruby-`;

/** Returns the metadata key of a flag: `gitaly-feature-mailmap-options`. */
export function flagHeader(name: string): string {
  return FLAG_PREFIX + name.replaceAll('_', '-');
}

/** Returns the older metadata key of a flag, which is used if the plain one is not sent. */
export function olderFlagHeader(name: string): string {
  return RUBY_PREFIX + name.replaceAll('_', '-');
}

/**
 * The part of request metadata that flags need. Keys are lower case; `get` returns the first value.
 */
export interface FlagHeaders {
  get(key: string): string | undefined;
  /** Key, value, key, value, … */
  pairsWithPrefix(prefix: string): readonly string[];
}

export interface RequestFlagsOptions {
  /**
   * Called when a flag from the request is checked (metric `gitaly_feature_flag_checks_total`).
   */
  onChecked?: (name: string, enabled: boolean) => void;
  env?: NodeJS.ProcessEnv;
}

/**
 * The flags of one request. Metadata is read on demand.
 *
 * Two switches are for tests. `GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS=true` in the environment
 * enables every flag. The metadata key `require_explicit_feature_flag_checks` makes it an error to
 * check a flag that is not in the request.
 */
export class RequestFlags {
  readonly #headers: FlagHeaders;
  readonly #onChecked: RequestFlagsOptions['onChecked'];
  readonly #env: NodeJS.ProcessEnv;

  constructor(headers: FlagHeaders, options: RequestFlagsOptions = {}) {
    this.#headers = headers;
    this.#onChecked = options.onChecked;
    this.#env = options.env ?? process.env;
  }

  isEnabled(flag: FeatureFlag): boolean {
    if (this.#env.GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS === 'true') return true;
    const header = flagHeader(flag.name);
    const value = this.#headers.get(header) ?? this.#headers.get(olderFlagHeader(flag.name));
    if (value !== undefined) {
      const enabled = value === 'true';
      this.#onChecked?.(flag.name, enabled);
      return enabled;
    }
    if (this.#headers.get('require_explicit_feature_flag_checks') === 'true') {
      throw new Error(`feature flag "${flag.name}" is not set by the request`);
    }
    return flag.onByDefault;
  }

  /** Returns every flag of the request, declared or not, to pass on to further calls and hooks. */
  sent(): Map<string, boolean> {
    return flagsIn(this.#headers.pairsWithPrefix(FLAG_PREFIX));
  }
}

/**
 * Returns a function that returns the log field `feature_flags` of a call: names of the enabled
 * flags, sorted, joined with spaces; `undefined` if there are none. It keeps the last names, as
 * clients send the same flags with most calls.
 */
export function enabledFlagNames(): (headers: FlagHeaders) => string | undefined {
  let last: readonly string[] = [];
  let names: string | undefined;
  return (headers) => {
    const pairs = headers.pairsWithPrefix(FLAG_PREFIX);
    if (pairs.length !== last.length || pairs.some((text, index) => text !== last[index])) {
      last = pairs;
      const enabled = [...flagsIn(pairs)].filter(([, isEnabled]) => isEnabled).map(([name]) => name);
      names = enabled.length === 0 ? undefined : enabled.sort().join(' ');
    }
    return names;
  };
}

/** Returns flags by name. Of several values of one header, the first is used. */
function flagsIn(pairs: readonly string[]): Map<string, boolean> {
  const flags = new Map<string, boolean>();
  for (let index = 0; index < pairs.length; index += 2) {
    const name = nameOf(pairs[index] ?? '');
    if (!flags.has(name)) flags.set(name, pairs[index + 1] === 'true');
  }
  return flags;
}

function nameOf(key: string): string {
  return key.slice(FLAG_PREFIX.length).replaceAll('-', '_');
}
