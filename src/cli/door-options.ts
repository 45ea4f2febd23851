import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/system-error';
import { type Authenticator, callbackAuthentication, fileAuthentication, type HttpDoorOptions } from '#gateway/index';

/** What the command line says about who may come in, and how. */
export interface DoorArguments {
  readonly authFile?: string | undefined;
  readonly authUrl?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  readonly trustedProxy?: readonly string[] | undefined;
}

/** Options that do not go together. */
export class DoorArgumentError extends Error {
  override readonly name = 'DoorArgumentError';
}

/** The door's part of the options. @throws {DoorArgumentError}; what is wrong with a file or a URL. */
export async function doorOptions(
  given: DoorArguments,
): Promise<Pick<HttpDoorOptions, 'authenticator' | 'onProblem' | 'tls' | 'trustedProxies'>> {
  const { authFile, authUrl, tlsCert, tlsKey, trustedProxy } = given;
  if (authFile !== undefined && authUrl !== undefined) throw new DoorArgumentError('use one of --auth-file and --auth-url');
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new DoorArgumentError('--tls-cert and --tls-key go together: a certificate and its key, both PEM files');
  }
  const authenticator = await authenticatorOf(authFile, authUrl);
  return {
    ...(authenticator && { authenticator }),
    ...(tlsCert !== undefined && tlsKey !== undefined && { tls: { certificatePath: tlsCert, keyPath: tlsKey } }),
    ...(trustedProxy && { trustedProxies: trustedProxy }),
    onProblem: reportProblem,
  };
}

async function authenticatorOf(path: string | undefined, url: string | undefined): Promise<Authenticator | undefined> {
  try {
    if (url !== undefined) return callbackAuthentication({ url });
    if (path !== undefined) return await fileAuthentication({ path, onProblem: reportProblem });
    return undefined;
  } catch (error) {
    const option = url === undefined ? `file ${path}` : 'url';
    const advice = systemErrorCode(error) === 'ENOENT' ? `. Make it with: gitaly-ts hash-password NAME --write >> ${path}` : '';
    throw new Error(`--auth-${option}: ${messageOf(error)}${advice}`, { cause: error });
  }
}

function reportProblem(error: unknown): void {
  process.stderr.write(`gitaly-ts: what was read before stays in use: ${messageOf(error)}\n`);
}
