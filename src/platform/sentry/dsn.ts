/** Where error reports are sent, read from a DSN. */
export interface SentryTarget {
  readonly url: string;
  /** Value of the header `X-Sentry-Auth`; it holds the key. */
  readonly authorization: string;
}

const VERSION = 7; // of Sentry's protocol

/**
 * Parses `https://KEY[:SECRET]@HOST[:PORT][/PATH]/PROJECT`.
 *
 * @throws {Error} whose text holds no part of the DSN.
 */
export function parseDsn(dsn: string, client: string): SentryTarget {
  if (!URL.canParse(dsn)) throw new Error('the DSN is no URL');
  const { protocol, username, password, host, pathname } = new URL(dsn);
  if (protocol !== 'https:' && protocol !== 'http:') throw new Error('the DSN is neither http nor https');
  if (username === '') throw new Error('the DSN has no public key');
  const [, path = '', project = ''] = /^(.*)\/([^/]+)$/.exec(pathname) ?? [];
  if (project === '') throw new Error('the DSN has no project');
  const key = [`sentry_version=${VERSION}`, `sentry_client=${client}`, `sentry_key=${username}`];
  if (password !== '') key.push(`sentry_secret=${password}`);
  return {
    url: `${protocol}//${host}${path}/api/${project}/envelope/`,
    authorization: `Sentry ${key.join(', ')}`,
  };
}
