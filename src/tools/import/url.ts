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
 * read by everybody on the machine, and git repeats URLs in its messages.
 */
export function withoutCredentials(location: string): CleanUrl {
  if (!isHttp(location) || !URL.canParse(location)) return { url: location, env: {} };
  const url = new URL(location);
  const { username, password } = url;
  if (username === '' && password === '') return { url: location, env: {} };
  url.username = '';
  url.password = '';
  return {
    url: url.href,
    env: {
      GIT_CONFIG_COUNT: '2',
      GIT_CONFIG_KEY_0: `credential.${url.origin}.helper`,
      GIT_CONFIG_VALUE_0: '', // no other helper is asked, and none stores them
      GIT_CONFIG_KEY_1: `credential.${url.origin}.helper`,
      GIT_CONFIG_VALUE_1: HELPER,
      GITALY_IMPORT_USERNAME: decodeURIComponent(username),
      GITALY_IMPORT_PASSWORD: decodeURIComponent(password),
    },
  };
}

/** A shell function: git appends the verb and runs it. */
const HELPER =
  '!answer() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "$GITALY_IMPORT_USERNAME" "$GITALY_IMPORT_PASSWORD"; }; answer';

function isHttp(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
