import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { accountAuthentication } from '#gateway/http/auth/account-authentication';
import {
  type Authenticator,
  callbackAuthentication,
  fileAuthentication,
  type HttpGatewayOptions,
  scopedTokenAuthentication,
} from '#gateway/index';
import type { People } from '#gateway/people/people';
import type { Slots } from '#gateway/slots';
import type { TokenVerifier } from '#tokens/token-verifier';

/** Command line options for authentication, TLS and proxies. */
export interface GatewayArguments {
  readonly authFile?: string | undefined;
  readonly authUrl?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly trustedProxy?: readonly string[] | undefined;
  /** Names by which clients may address the gateway on loopback. */
  readonly httpHost?: readonly string[] | undefined;
}

/** Options that cannot be combined. */
export class GatewayArgumentError extends Error {
  override readonly name = 'GatewayArgumentError';
}

export interface GatewayContext {
  /** Of tokens, which are accepted besides the other kinds of authentication. */
  readonly verifier: TokenVerifier | undefined;
  /** Passwords that wait to be checked, in all processes. */
  readonly logins: Slots | undefined;
  readonly people: People | undefined;
}

/**
 * Returns the gateway's options.
 *
 * @throws {GatewayArgumentError}; the error of a file or a URL.
 */
export async function gatewayOptions(
  given: GatewayArguments,
  { logins, people, verifier }: GatewayContext,
): Promise<Pick<HttpGatewayOptions, 'authenticator' | 'hosts' | 'onProblem' | 'tls' | 'trustedProxies'>> {
  const { authFile, authUrl, httpHost, tlsCert, tlsKey, trustedProxy } = given;
  if (authFile !== undefined && authUrl !== undefined)
    throw new GatewayArgumentError('use one of --auth-file and --auth-url');
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new GatewayArgumentError(
      '--tls-cert and --tls-key must be given together: a certificate and its key, both PEM files',
    );
  }
  const otherwise = people
    ? accountAuthentication(async () => (await people.current()).accounts, {
        logins,
        secrets: people,
      })
    : await authenticatorOf(authFile, authUrl, logins);
  const authenticator = verifier ? scopedTokenAuthentication({ verifier, otherwise }) : otherwise;
  return {
    ...(authenticator && { authenticator }),
    ...(tlsCert !== undefined &&
      tlsKey !== undefined && { tls: { certificatePath: tlsCert, keyPath: tlsKey } }),
    ...(trustedProxy && { trustedProxies: trustedProxy }),
    ...(httpHost && { hosts: httpHost }),
    onProblem: reportProblem,
  };
}

async function authenticatorOf(
  path: string | undefined,
  url: string | undefined,
  logins: Slots | undefined,
): Promise<Authenticator | undefined> {
  try {
    if (url !== undefined) return callbackAuthentication({ url });
    if (path !== undefined) return await fileAuthentication({ path, onProblem: reportProblem }, logins);
    return undefined;
  } catch (error) {
    const option = url === undefined ? `file ${path}` : 'url';
    const advice =
      systemErrorCode(error) === 'ENOENT'
        ? `. Create it with: gitaly-ts hash-password NAME --write >> ${path}`
        : '';
    throw new Error(`--auth-${option}: ${messageOf(error)}${advice}`, { cause: error });
  }
}

/** Reports that a file of users, keys or certificates was changed and is invalid. */
export function reportProblem(error: unknown): void {
  process.stderr.write(`gitaly-ts: the previous file stays in use: ${messageOf(error)}\n`);
}
