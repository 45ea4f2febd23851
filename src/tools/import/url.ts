import { maskUrlCredentials } from '#platform/log/mask-urls';

/** A URL without secrets, and the environment that passes them to git. */
export interface CleanUrl {
  readonly url: string;
  /** Variables for git, with the user and the password. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Reports whether a location is `https://…`, or `host:path` as in ssh; everything else is a path.
 * Follows git: a slash before the colon makes a path.
 */
export function isUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location) || /^[^/:]+:(?!\/\/)/.test(location);
}

/**
 * Returns a location for display: user and password are hidden, except for ssh, where the user is
 * not secret.
 */
export function displayOf(location: string): string {
  if (!isUrl(location)) return location;
  return isHttp(location)
    ? maskUrlCredentials(location)
    : location.replace(/^(ssh:\/\/[^/:@]*):[^/@]*@/i, '$1:[FILTERED]@');
}

/**
 * Removes user and password from an HTTP URL and passes them to git in a credential helper for that
 * host. Everybody on the machine can read a command line, and git repeats URLs in its messages. A
 * user without a password may be a token, or a user whose password the user's own helper has: that
 * helper is queried first.
 */
export function separateCredentials(location: string): CleanUrl {
  if (!isHttp(location) || !URL.canParse(location)) return { url: location, env: {} };
  const url = new URL(location);
  const [username, password] = [decodeURIComponent(url.username), decodeURIComponent(url.password)];
  if (username === '' && password === '') return { url: location, env: {} };
  url.username = '';
  url.password = '';
  const section = `credential.${url.origin}`;
  return {
    url: url.href,
    env: {
      ...gitConfig([
        // the latter disables all other helpers
        password === '' ? [`${section}.username`, username] : [`${section}.helper`, ''],
        [`${section}.helper`, HELPER],
      ]),
      GITALY_IMPORT_USERNAME: username,
      GITALY_IMPORT_PASSWORD: password,
    },
  };
}

/** Returns environment variables with settings for git, which do not appear on a command line. */
function gitConfig(settings: readonly (readonly [string, string])[]): Record<string, string> {
  const entries = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(entries) };
}

/** A shell function: git appends the verb and runs it. */
const HELPER =
  '!answer() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "$GITALY_IMPORT_USERNAME" ' +
  '"$GITALY_IMPORT_PASSWORD"; }; answer';

function isHttp(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
