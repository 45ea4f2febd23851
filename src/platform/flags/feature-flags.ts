/**
 * Feature flags: switches that travel with a request. A client sends `gitaly-feature-<name with dashes>: true`; any other value
 * switches the flag off; a flag that was not sent has its declared default. Flags nobody declared are accepted and passed on.
 */
export interface FeatureFlag {
  /** With underscores, as in logs, metrics and Rails (`gitaly_<name>`). */
  readonly name: string;
  readonly onByDefault: boolean;
}

const HEADER_PREFIX = 'gitaly-feature-';
const NAME = /^[a-z][a-z0-9_]*[a-z0-9]$/;

/** Declares a flag; names are those of Gitaly. */
export function featureFlag(name: string, options: { onByDefault: boolean }): FeatureFlag {
  if (!NAME.test(name)) throw new Error(`"${name}" is no name for a feature flag`);
  return { name, onByDefault: options.onByDefault };
}

/**
 * The flags that change what a client sees; all others of Gitaly's releases are accepted and mean nothing here.
 * @public
 */
export const flags = {
  bundleUri: featureFlag('bundle_uri', { onByDefault: false }),
  fetchRemoteProactiveAuth: featureFlag('fetch_remote_proactive_auth', { onByDefault: false }),
  gpgSigning: featureFlag('gpg_signing', { onByDefault: true }),
  limitUnauthenticated: featureFlag('limit_unauthenticated', { onByDefault: true }),
  mailmapOptions: featureFlag('mailmap_options', { onByDefault: true }),
  newRepoReftableBackend: featureFlag('new_repo_reftable_backend', { onByDefault: false }),
};

/** The metadata key of a flag: `gitaly-feature-mailmap-options`. */
export function flagHeader(name: string): string {
  return HEADER_PREFIX + name.replaceAll('_', '-');
}

/** Request metadata, as far as flags need it. Keys are lower case; `get` gives the first value. */
export interface FlagHeaders {
  get(key: string): string | undefined;
  entries(): Iterable<readonly [key: string, value: unknown]>;
}

export interface RequestFlagsOptions {
  /** Called when a flag is asked for that came with the request (metric `gitaly_feature_flag_checks_total`). */
  onChecked?: (name: string, enabled: boolean) => void;
  env?: NodeJS.ProcessEnv;
}

/**
 * The flags of one request. Reads the metadata only when asked.
 *
 * Two switches for tests: `GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS=true` in the environment makes every flag true; the metadata
 * key `require_explicit_feature_flag_checks` makes it an error to ask for a flag that the request does not carry.
 */
export class RequestFlags {
  readonly #headers: FlagHeaders;
  readonly #onChecked: RequestFlagsOptions['onChecked'];
  readonly #allOn: boolean;

  constructor(headers: FlagHeaders, options: RequestFlagsOptions = {}) {
    this.#headers = headers;
    this.#onChecked = options.onChecked;
    this.#allOn = (options.env ?? process.env).GITALY_TESTING_ENABLE_ALL_FEATURE_FLAGS === 'true';
  }

  isEnabled(flag: FeatureFlag): boolean {
    if (this.#allOn) return true;
    const value = this.#headers.get(flagHeader(flag.name));
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

  /** Every flag that came with the request, declared or not, for calls and hooks that it leads to. */
  sent(): Map<string, boolean> {
    const sent = new Map<string, boolean>();
    for (const [key] of this.#headers.entries()) {
      if (!key.startsWith(HEADER_PREFIX)) continue;
      sent.set(key.slice(HEADER_PREFIX.length).replaceAll('-', '_'), this.#headers.get(key) === 'true');
    }
    return sent;
  }

  /** The log field `feature_flags`: names of the enabled flags, sorted, joined with spaces; `undefined` when there are none. */
  enabledNames(): string | undefined {
    const names = [...this.sent()].filter(([, enabled]) => enabled).map(([name]) => name);
    return names.length === 0 ? undefined : names.sort().join(' ');
  }
}
