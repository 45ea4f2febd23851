import { readFileSync } from 'node:fs';
import { systemErrorText } from '#base/go/system-error';
import { isError } from '#base/is-error';
import { HttpInternalApi, type HttpInternalApiOptions } from './http-internal-api.ts';
import { createHttpTransport, type HttpTransportOptions } from './http-transport.ts';
import type { InternalApi } from './internal-api.ts';
import { standAloneApi } from './stand-alone-api.ts';

/** The `[gitlab]` section as this module needs it. */
export interface GitlabSettings extends HttpTransportOptions {
  readonly secret?: string | undefined;
  /** Read when `secret` is empty. */
  readonly secretFile?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

/**
 * Creates the API client for a configuration; without a URL, the stand-alone client.
 *
 * @throws {Error} `building new HTTP client for GitLab API: …`, `reading secret file: …`
 */
export function createInternalApi(
  settings: GitlabSettings | undefined,
  options: Pick<HttpInternalApiOptions, 'userAgent' | 'observer'>,
): InternalApi {
  if (settings === undefined || settings.url === '') return standAloneApi;
  return new HttpInternalApi({
    ...options,
    url: shownUrl(settings),
    transport: transportFor(settings),
    secret: settings.secret || readSecret(settings.secretFile ?? ''),
    user: settings.user,
    password: settings.password,
  });
}

/** Returns the address of the API as Gitaly logs it. */
function shownUrl({ url, relativeUrlRoot = '' }: GitlabSettings): string {
  if (url.startsWith('http+unix:')) return `http://unix${relativeUrlRoot.replace(/\/$/, '')}`;
  return url.replace(/^(\w+:\/\/)[^/@]*@/, '$1').replace(/\/$/, '');
}

function transportFor(settings: GitlabSettings) {
  try {
    return createHttpTransport(settings);
  } catch (error) {
    throw new Error(`building new HTTP client for GitLab API: ${isError(error) ? error.message : error}`, {
      cause: error,
    });
  }
}

/** Returns the key of the tokens; space around it does not count. @throws `reading secret file: …` */
export function tokenKey({ secret, secretFile }: GitlabSettings): Buffer {
  return Buffer.from((secret || readSecret(secretFile ?? '')).trim());
}

function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`reading secret file: open ${file}: ${systemErrorText(error)}`, { cause: error });
  }
}
