const MAX_CREDENTIALS = 64 * 1024;
const KEY = /^-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** How a mirror logs in. Neither is ever shown or logged. */
export interface MirrorLogin {
  /** Value of the header `Authorization`. */
  readonly httpAuthorizationHeader?: string;
  readonly sshKey?: string;
}

/**
 * Checks the address of a mirror: `https://`, `http://` or `ssh://`, without a password.
 *
 * @throws {RangeError}
 */
export function requireMirrorUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^(?:https?|ssh):$/.test(url.protocol) || url.hostname === '')
    throw new RangeError('write the URL as https://HOST/PATH or ssh://USER@HOST/PATH');
  if (url.password !== '' || (url.protocol !== 'ssh:' && url.username !== ''))
    throw new RangeError('leave user and password out of the URL, and name a file with --credentials');
  return text;
}

/**
 * Parses a file with credentials: `user:password` for HTTP, or a private key for SSH.
 *
 * @throws {RangeError} whose message has nothing of the file.
 */
export function parseMirrorCredentials(text: string): MirrorLogin {
  if (text.length > MAX_CREDENTIALS) throw new RangeError('the file with the credentials is too long');
  if (KEY.test(text)) return { sshKey: text };
  const line = text.trimEnd();
  if (!/^[^:\s]*:[^\r\n]+$/.test(line))
    throw new RangeError('the file with the credentials must have one line user:password, or a private key');
  return { httpAuthorizationHeader: `Basic ${Buffer.from(line).toString('base64')}` };
}
