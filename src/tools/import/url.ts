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
 *
 * @param environment whose settings for git (`GIT_CONFIG_COUNT`) stay.
 */
export function separateCredentials(
  location: string,
  environment: Readonly<NodeJS.ProcessEnv> = {},
): CleanUrl {
  if (!isHttp(location) || !URL.canParse(location)) return { url: location, env: {} };
  const url = new URL(location);
  const [username, password] = [decodedAsGit(url.username), decodedAsGit(url.password)];
  if (username === '' && password === '') return { url: location, env: {} };
  url.username = '';
  url.password = '';
  const section = `credential.${url.origin}`;
  return {
    url: url.href,
    env: {
      ...gitConfig(
        [
          // the latter disables all other helpers
          password === '' ? [`${section}.username`, username] : [`${section}.helper`, ''],
          [`${section}.helper`, HELPER],
        ],
        environment,
      ),
      GITALY_IMPORT_USERNAME: username,
      GITALY_IMPORT_PASSWORD: password,
    },
  };
}

/**
 * Returns environment variables with settings for git, which do not appear on a command line, after
 * those that an environment has.
 */
function gitConfig(
  settings: readonly (readonly [string, string])[],
  { GIT_CONFIG_COUNT: count = '' }: Readonly<NodeJS.ProcessEnv>,
): Record<string, string> {
  const first = /^\d{1,4}$/.test(count) ? Number(count) : 0;
  const entries = settings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${first + index}`, key],
    [`GIT_CONFIG_VALUE_${first + index}`, value],
  ]);
  return { GIT_CONFIG_COUNT: String(first + settings.length), ...Object.fromEntries(entries) };
}

/** Decodes a user or a password. A percent sign without two digits stays, as for git. */
function decodedAsGit(text: string): string {
  const bytes = text.replace(/%(?!00)([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}

/** A shell function: git appends the verb and runs it. */
const HELPER =
  '!answer() { [ "$1" != get ] || printf "username=%s\\npassword=%s\\n" "$GITALY_IMPORT_USERNAME" ' +
  '"$GITALY_IMPORT_PASSWORD"; }; answer';

function isHttp(location: string): boolean {
  return /^https?:\/\//i.test(location);
}
