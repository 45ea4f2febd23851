import type { StatusCode } from '#base/gitaly-error';

interface Failure {
  readonly code: StatusCode;
  readonly message: string;
  readonly address: string;
  readonly rpc: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly limit: { readonly retryAfterMs: number } | undefined;
}

const HANDSHAKE = 'authentication handshake failed';

/** Returns advice about a connection that could not be opened, chosen by the text of the reason. */
export function connectHint(address: string, message: string): string {
  if (message.includes('wrong version number'))
    return `${address} does not speak TLS: use tcp:// instead of tls://, or the server's tls_listen_addr.`;
  if (!message.includes(HANDSHAKE))
    return `Check that a server listens on ${address}, and that you may connect to it.`;
  if (message.includes("does not match certificate's altnames"))
    return `The certificate of ${address} has other names: dial one, or pass it as dial's tls.serverName.`;
  if (message.includes('certificate has expired'))
    return `The certificate of ${address} has expired: renew it.`;
  return (
    `The certificate of ${address} is not trusted: name the file (PEM) of its CA in SSL_CERT_FILE, or pass ` +
    "it as dial's tls.ca."
  );
}

/** Returns advice for a developer about a failed call; `undefined` if it depends on the call. */
export function errorHint(failure: Failure): string | undefined {
  const { address, code, limit, message, metadata, rpc } = failure;
  if (metadata.unsent === true) {
    const hint = connectHint(address, message);
    return message.includes(HANDSHAKE) ? hint : `Nothing was sent. ${hint}`;
  }
  if (limit !== undefined)
    return `The server is at its limit: repeat the call after ${limit.retryAfterMs} ms at the earliest.`;
  switch (code) {
    case 'UNAUTHENTICATED':
      return `Pass the token of ${address} to dial: the server has one in [auth] token.`;
    case 'PERMISSION_DENIED':
      return /^permission denied: .*(?:token|hmac)/.test(message)
        ? `The token for ${address} is another than the server's [auth] token, or one of the clocks is off.`
        : undefined;
    case 'INVALID_ARGUMENT':
      return message === 'storage name not found'
        ? `${address} has no storage of this name: compare storageName with [[storage]] of its configuration.`
        : undefined;
    case 'NOT_FOUND':
      return message === 'repository not found'
        ? `There is no repository at this path of ${address}: compare relativePath, or create it.`
        : undefined;
    case 'UNAVAILABLE':
      return message === 'error reading from server: EOF'
        ? `${address} ended the connection: if it is an HTTP gateway, dial the server's listen_addr instead.`
        : undefined;
    case 'UNIMPLEMENTED':
      return `The server at ${address} does not have ${rpc}: it is of another release, or no Gitaly.`;
    case 'DEADLINE_EXCEEDED':
      return `${rpc} took longer than its deadline: set a larger timeoutMs, or ask for less.`;
    case 'RESOURCE_EXHAUSTED':
      return /larger than max/.test(message)
        ? "The message is above the limit: raise dial's maxReceiveMessageBytes."
        : undefined;
    default:
      return undefined;
  }
}
