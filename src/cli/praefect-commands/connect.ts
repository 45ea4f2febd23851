import { messageOf, prefixed } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import type { Connection } from '#client/index';
import type { PraefectConfig } from '#praefect/config/schema';

/**
 * Returns a connection to the Praefect of a configuration.
 *
 * @throws {Error} `<prefix>: …`
 */
export async function connectToPraefect(config: PraefectConfig, prefix: string): Promise<Connection> {
  return await connect(praefectAddress(config), { token: config.auth.token?.reveal(), prefix });
}

/** @throws {Error} without an address. */
function praefectAddress({ listenAddr, socketPath, tlsListenAddr }: PraefectConfig): string {
  const withoutScheme = (address: string): string => address.replace(/^\w+:\/\//, '');
  if (socketPath) return `unix:${socketPath}`;
  if (listenAddr) return `tcp://${withoutScheme(listenAddr)}`;
  if (tlsListenAddr) return `tls://${withoutScheme(tlsListenAddr)}`;
  throw new Error('no Praefect address configured');
}

/**
 * Returns a connection that is made by the first call, which fails at once if it cannot.
 *
 * @throws {Error} `<prefix>: …` for an address that is none.
 */
export async function connect(
  address: string,
  { prefix, token }: { prefix: string; token: string | undefined },
): Promise<Connection> {
  const { dial } = await import('#client/index');
  const options = { ...(token !== undefined && { token }), retry: false } as const;
  return await dial(address, options).catch(prefixed(prefix));
}

/** Returns a handler that throws the error of a call as Gitaly's commands print it. */
export function failedCall(prefix?: string): (error: unknown) => never {
  return (error) => {
    const text = messageOf(asGoStatus(error));
    throw new Error(prefix === undefined ? text : `${prefix}: ${text}`, { cause: error });
  };
}
