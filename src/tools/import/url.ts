import { maskUrlCredentials } from '#platform/log/mask-urls';

/** A URL without what must not be seen, and the environment that gives git the rest. */
export interface CleanUrl {
  readonly url: string;
  /** Variables for git; they hold the user and the password. */
  readonly env: Readonly<Record<string, string>>;
}

/** `https://…`, or `host:path` as ssh has it; everything else is a path. As git decides: a slash before the colon makes a path. */
export function isUrl(location: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(location) || /^[^/:]+:(?!\/\/)/.test(location);
}

/** A location for people: user and password are hidden, except where the user is no secret (ssh). */
export function displayOf(location: string): string {
  if (!isUrl(location)) return location;
  return isHttp(location) ? maskUrlCredentials(location) : location.replace(/^(ssh:\/\/[^/:@]*):[^/@]*@/i, '$1:[FILTERED]@');
}

/**
 * Takes user and password out of an HTTP URL and hands them to git by a credential helper for that host alone: a command line can be
 * read by everybody on the machine, and git repeats URLs in its messages. A user without a password may be a token, or somebody whose
 * password the user's own helper knows: that is asked first.
 */
export function withoutCredentials(location: string): CleanUrl {
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
        password === '' ? [`${section}.username`, username] : [`${section}.helper`, ''], // the latter forgets all other helpers
        [`${section}.helper`, HELPER],
      ]),
      GITALY_IMPORT_USERNAME: username,
      GITALY_IMPORT_PASSWORD: password,
    },
  };
}

/** Settings for git that stand on no command line. */
function gitConfig(settings: readonly (readonly [string, string])[]): Record<string, string> {
  const entries = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(entries) };
}

/** A shell function: git appends the verb and runs it. */
const HELPER =
  '!answer() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "$GITALY_IMPORT_USERNAME" "$GITALY_IMPORT_PASSWORD"; }; answer';

function isHttp(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
