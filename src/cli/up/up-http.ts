import { fieldsOf } from '#base/fields-of';
import { messageOf } from '#base/gitaly-error';
import { isLoopback } from '#base/go/net/host-port';
import { systemErrorCode } from '#base/go/system-error';
import type { Secret } from '#base/secret';
import type { HostAndPort } from '#client/connect/address';
import type { GatewayFamily } from '#gateway/family';
import { AllowedOrigins } from '#gateway/http/api/cors';
import { openHttpGateway, type SharedHttpGateway } from '#gateway/http/http-gateway';
import type { HttpLimits } from '#gateway/http/limits/http-limits';
import {
  type BundleOptions,
  type HttpGatewayOptions,
  type LfsStoreOptions,
  type PageSource,
  storageMapping,
  tokenAuthentication,
} from '#gateway/index';
import type { People } from '#gateway/people/people';
import type { Slots } from '#gateway/slots';
import type { TokenVerifier } from '#tokens/token-verifier';
import { AddressError, parseHttpAddress } from '../listen-address.ts';
import { GatewayArgumentError, type GatewayArguments, gatewayOptions } from './gateway-options.ts';
import type { GatewayTarget } from './up-ssh.ts';

/** Command line options of the HTTP gateway. */
export interface UpHttpOptions extends GatewayArguments {
  /** `HOST:PORT`, or `off`; default 127.0.0.1:8080, or another port if that one is in use. */
  readonly http?: string | undefined;
  /** Address of the gateway for clients: bundles of repositories that are cloned often are offered there. */
  readonly bundleUrl?: string | undefined;
  /** Other sites whose pages may use the API. */
  readonly apiOrigin?: readonly string[] | undefined;
  /** Requests to the API in a minute with one token. */
  readonly apiRate?: number | undefined;
  /** False without the console. */
  readonly console?: boolean;
}

/** The HTTP gateway of `gitaly-ts up`, before its start. */
export interface UpHttp {
  readonly listen: HostAndPort;
  /** True if the port is a default, so another one may be used. */
  readonly mayMove: boolean;
  readonly settings: Awaited<ReturnType<typeof gatewayOptions>>;
  readonly limits: Partial<HttpLimits>;
  /** Other sites whose pages may use the API. */
  readonly origins: readonly string[];
  /** True if users need the token of the command line. */
  readonly usesToken: boolean;
  /** Address of bundles for clients; `undefined` without bundles. */
  readonly bundleUrl: string | undefined;
  readonly hasConsole: boolean;
}

const DEFAULT_HTTP = '127.0.0.1:8080';
const OFF = 'off';
/** Options that have no effect without a gateway. */
const NEEDS_HTTP = {
  authFile: '--auth-file',
  authUrl: '--auth-url',
  tlsCert: '--tls-cert',
  tlsKey: '--tls-key',
  trustedProxy: '--trusted-proxy',
  httpHost: '--http-host',
  bundleUrl: '--bundle-url',
  apiOrigin: '--api-origin',
  apiRate: '--api-rate',
} as const;

export interface ParseUpHttpContext {
  /** Token of the command line: the password beyond loopback if there is no other authentication. */
  readonly token: Secret | undefined;
  /** Checks the tokens that the gateway accepts. */
  readonly verifier: TokenVerifier | undefined;
  /** Passwords that wait to be checked, in all processes. */
  readonly logins?: Slots | undefined;
  readonly people: People | undefined;
}

/**
 * Parses the options. Returns `undefined` without a gateway.
 *
 * @throws {AddressError} for an invalid address, and for one beyond loopback without
 *   authentication; {GatewayArgumentError}; the error of a file or a URL.
 */
export async function parseUpHttp(
  options: UpHttpOptions,
  { logins, people, token, verifier }: ParseUpHttpContext,
): Promise<UpHttp | undefined> {
  const { http } = options;
  if (http === OFF) {
    for (const [key, option] of fieldsOf(NEEDS_HTTP)) {
      if (options[key] !== undefined)
        throw new GatewayArgumentError(`${option} requires the HTTP gateway: leave out --http off`);
    }
    return undefined;
  }
  const listen = parseHttpAddress(http ?? DEFAULT_HTTP);
  const settings = await gatewayOptions(options, { verifier, logins, people });
  const isOpen = settings.authenticator === undefined && !isLoopback(listen.host);
  if (isOpen && token === undefined) {
    throw new AddressError(
      `--http ${http}: other machines can reach this address, so the gateway needs authentication: add ` +
        'people (see gitaly-ts user add --help), ' +
        '--tokens (see gitaly-ts token --help), --auth-file FILE (see gitaly-ts hash-password --help), ' +
        '--auth-url URL, or --token-file FILE, whose token is then the password',
    );
  }
  return {
    listen,
    mayMove: http === undefined,
    settings:
      isOpen && token !== undefined ? { ...settings, authenticator: tokenAuthentication(token) } : settings,
    limits: limitsOf(options),
    origins: originsOf(options),
    usesToken: isOpen,
    bundleUrl: bundleUrlOf(options),
    hasConsole: options.console !== false,
  };
}

/** Returns the limits of the gateway that are not the default. */
export function limitsOf({ apiRate }: UpHttpOptions): Partial<HttpLimits> {
  return apiRate === undefined ? {} : { maxApiRequestsPerMinute: apiRate };
}

/** Returns the sites whose pages may use the API. @throws {GatewayArgumentError} */
function originsOf({ apiOrigin = [] }: UpHttpOptions): readonly string[] {
  try {
    void new AllowedOrigins(apiOrigin);
  } catch (error) {
    throw new GatewayArgumentError(`--api-origin: ${messageOf(error)}`);
  }
  return apiOrigin;
}

/** Returns the address of the bundles. @throws {GatewayArgumentError} */
function bundleUrlOf({ bundleUrl, http }: UpHttpOptions): string | undefined {
  if (bundleUrl === undefined) return undefined;
  const url = URL.parse(bundleUrl);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.search !== '')
    throw new GatewayArgumentError(
      `--bundle-url ${bundleUrl}: write the address of the gateway for clients, such as https://git.example.com`,
    );
  if (http === undefined)
    throw new GatewayArgumentError('--bundle-url requires a fixed port: add --http HOST:PORT');
  return `${url.origin}${url.pathname.replace(/\/$/, '')}/-/bundles`;
}

export interface OpenUpHttpOptions {
  readonly bundles: BundleOptions | undefined;
  readonly lfs: LfsStoreOptions | undefined;
  readonly pages: PageSource | undefined;
  /** True with a change feed. */
  readonly hasEvents: boolean;
  /** The processes of the server, if there can be several. */
  readonly family: GatewayFamily | undefined;
  readonly onAccess: HttpGatewayOptions['onAccess'];
}

/** Starts the gateway, on another port if the default one is in use. */
export async function openUpHttp(
  { limits, listen, mayMove, origins, settings }: UpHttp,
  { storage, ...gitaly }: GatewayTarget,
  { bundles, family, hasEvents, lfs, onAccess, pages }: OpenUpHttpOptions,
): Promise<SharedHttpGateway> {
  const options: HttpGatewayOptions = {
    ...settings,
    gitaly,
    listen,
    mapping: storageMapping(storage),
    createOnPush: {},
    limits,
    api: { storage, origins },
    ...(bundles && { bundles }),
    ...(lfs && { lfs }),
    ...(pages && { pages }),
    ...(hasEvents && { events: { storage } }),
    ...(onAccess && { onAccess }),
    onFailure: (error) => process.stderr.write(`gitaly-ts: a request failed: ${messageOf(error)}\n`),
  };
  try {
    return await openHttpGateway(options, family);
  } catch (error) {
    if (systemErrorCode(error) !== 'EADDRINUSE' || !mayMove) throw error;
    const gateway = await openHttpGateway({ ...options, listen: { ...listen, port: 0 } }, family);
    process.stderr.write(
      `Port ${listen.port} is in use, so the gateway uses ${gateway.port}. Choose another one with ` +
        '--http HOST:PORT.\n',
    );
    return gateway;
  }
}
