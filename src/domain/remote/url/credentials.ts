import { invalidArgument } from '#base/gitaly-error';
import type { ConfigPair } from '#git/command/config';

/** User and password of a URL, decoded. */
export interface UserInfo {
  readonly username: string;
  /** `undefined` for a URL without a colon after the user. */
  readonly password: string | undefined;
}

/**
 * When git sends user and password of a URL: `always`, in place of a given header; when `asked`,
 * after the remote has responded with 401; `proactive`: also with the first request, if neither is
 * empty and no header is given.
 */
export type UserInfoUse = 'always' | 'asked' | 'proactive';

/** Settings and variables for one git process; arguments contain no secrets. */
export interface CredentialSettings {
  readonly config: readonly ConfigPair[];
  readonly env: Readonly<Record<string, string>>;
}

const VARIABLE = 'GITALY_REMOTE_CREDENTIALS';
/** git appends the action: `get`, `store` or `erase`. */
const HELPER = `!f() { test "$1" = get && printf "%s\\n" "$${VARIABLE}"; }; f`;

export const NO_CREDENTIALS: CredentialSettings = { config: [], env: {} };

/**
 * Makes git send a header and the credentials of a URL with the scheme http or https.
 *
 * @param url without credentials.
 * @throws {GitalyError} INVALID_ARGUMENT for control characters.
 */
export function credentialSettings(
  url: string,
  userInfo: UserInfo | undefined,
  remote: { readonly authorization: string; readonly userInfo: UserInfoUse },
): CredentialSettings {
  const { authorization, userInfo: use } = remote;
  if (userInfo === undefined) return { config: header(authorization), env: {} };
  if (use === 'always') return { config: header(basic(userInfo)), env: {} };
  const { username, password = '' } = userInfo;
  const isProactive = use === 'proactive' && authorization === '' && username !== '' && password !== '';
  const { config, env } = helper(url, userInfo);
  return { config: [...header(isProactive ? basic(userInfo) : authorization), ...config], env };
}

function basic({ username, password }: UserInfo): string {
  // Without a colon if there is no password, as Gitaly sends it.
  const text = password === undefined ? username : `${username}:${password}`;
  return `Basic ${Buffer.from(text).toString('base64')}`;
}

function header(authorization: string): ConfigPair[] {
  if (authorization === '') return [];
  requireOneLine(authorization, 'invalid authorization header');
  return [{ key: 'http.extraHeader', value: `Authorization: ${authorization}`, secret: true }];
}

/**
 * Returns a credential helper: git runs it after a response 401, so a public repository never sees
 * outdated credentials. In git's URL they would be arguments of `git remote-http`. Only the
 * remote's own origin gets them, no proxy.
 */
function helper(url: string, { username, password }: UserInfo): CredentialSettings {
  requireOneLine(`${username}${password ?? ''}`, 'invalid user or password in the URL');
  const [origin = ''] = /^https?:\/\/[^/?#]*/i.exec(url) ?? [];
  const key = `credential.${origin}.helper`;
  const lines = [`username=${username}`, ...(password === undefined ? [] : [`password=${password}`])];
  return {
    // The empty value removes helpers of the repository's own configuration.
    config: ['', HELPER].map((value) => ({ key, value, secret: true })),
    env: { [VARIABLE]: lines.join('\n') },
  };
}

/** A line feed would start another header, or another line of git's protocol. */
function requireOneLine(text: string, message: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\x00-\x1f\x7f]/.test(text)) throw invalidArgument(message);
}
