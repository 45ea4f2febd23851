import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';
import { dial } from '#client/index';
import type { GitalyConfig } from '#platform/config/load-config';
import { HealthCheckResponse_ServingStatus as Serving } from '#wire/gen/grpc/health/v1/health_pb';
import { type Finding, failure, ok, warning } from './finding.ts';

/** The kernel's limit minus the final NUL. */
const MAX_SOCKET_PATH_BYTES = 107;
const ANSWER_LIMIT_MS = 3000;

/**
 * Checks for each address of a configuration that it is free, or that a server responds there and
 * accepts the configured token.
 */
export async function* checkAddresses(config: GitalyConfig): AsyncGenerator<Finding, void, undefined> {
  const token = config.auth.token?.reveal();
  if (config.socketPath) yield await checkSocket(config.socketPath, token);
  if (config.listenAddr)
    yield await checkPort('listen_addr', config.listenAddr, (place) => askServer(`tcp://${place}`, token));
  if (config.tlsListenAddr)
    yield await checkPort('tls_listen_addr', config.tlsListenAddr, (place) =>
      askServer(`tls://${place}`, token),
    );
  if (config.prometheusListenAddr)
    yield await checkPort('prometheus_listen_addr', config.prometheusListenAddr, askForMetrics);
}

/** Checks a Unix socket for clients. */
export async function checkSocket(path: string, token: string | undefined): Promise<Finding> {
  const subject = 'socket_path';
  const length = Buffer.byteLength(path);
  if (length > MAX_SOCKET_PATH_BYTES) {
    return failure(
      subject,
      `${path} has ${length} bytes`,
      `Choose a path of at most ${MAX_SOCKET_PATH_BYTES} bytes, the system's limit.`,
    );
  }
  try {
    await access(dirname(path), constants.W_OK | constants.X_OK);
  } catch (error) {
    return failure(
      subject,
      `${dirname(path)}: ${systemErrorText(error)}`,
      'Create the directory, or make the user of the server its owner.',
    );
  }
  if (!existsSync(path)) return ok(subject, `${path} is free`);
  const answer = await askServer(`unix:${path}`, token);
  if (answer.level === 'ok' || !answer.message.includes('connection refused')) return { ...answer, subject };
  return warning(
    subject,
    `${path} is left over from a server that no longer runs`,
    'Nothing needs to be done: the next server replaces it.',
  );
}

/** Checks that an address of `gitaly-ts up` is free, unless its server runs. */
export async function checkUpAddress(key: string, address: string, isRunning: boolean): Promise<Finding> {
  const inUse = isRunning
    ? ok('', `the running server uses ${address}`)
    : failure('', `another program listens on ${address}`, 'Stop it, or choose another address.');
  return await checkPort(key, address, async () => inUse);
}

async function checkPort(
  key: string,
  address: string,
  ask: (place: string) => Promise<Finding>,
): Promise<Finding> {
  const [, host = '', port = ''] = /^(?:tcp:\/\/)?(.*):(\d+)$/.exec(address) ?? [];
  const code = await tryListening(host.replace(/^\[|\]$/g, ''), Number(port));
  if (code === undefined) return ok(key, `${address} is free`);
  if (code !== 'EADDRINUSE')
    return failure(key, `${address}: ${code}`, FIXES[code] ?? 'Choose an address of this machine.');
  return { ...(await ask(host === '' ? `localhost:${port}` : `${host}:${port}`)), subject: key };
}

const FIXES: Readonly<Record<string, string>> = {
  EACCES: 'Choose a port above 1023, or allow the server to use it (CAP_NET_BIND_SERVICE).',
  EADDRNOTAVAIL: 'Choose an address of this machine.',
  ENOTFOUND: 'Choose an address of this machine, or add its name to DNS or /etc/hosts.',
};

/** Returns the error code of an attempt to listen. */
async function tryListening(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    await once(server.listen({ port, ...(host !== '' && { host }) }), 'listening');
    return undefined;
  } catch (error) {
    return systemErrorCode(error) ?? messageOf(error);
  } finally {
    server.close();
  }
}

/** Reads the metrics at an address: a Gitaly's name its version. */
async function askForMetrics(place: string): Promise<Finding> {
  try {
    const response = await fetch(`http://${place}/metrics`, { signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
    if (!/^gitlab_build_info\{/m.test(await response.text())) throw new Error('these are not its metrics');
    return ok('', `a server exports its metrics at ${place}`);
  } catch (error) {
    const message = `the program at ${place} does not export this server's metrics: ${messageOf(error)}`;
    return failure('', message, 'If it is another program, choose another address.');
  }
}

/** Calls the server at an address to check its health and its token. */
async function askServer(address: string, token: string | undefined): Promise<Finding> {
  try {
    // The certificate need not contain the address that the server listens on.
    const tls = { rejectUnauthorized: false };
    await using connection = await dial(address, { retry: false, tls, ...(token && { token }) });
    const { status } = await connection.health.check({}, { timeoutMs: ANSWER_LIMIT_MS });
    if (status !== Serving.SERVING)
      return warning('', `the server at ${address} is not ready`, 'Wait, or read its log.');
    const { serverVersion } = await connection.server.serverInfo({}, { timeoutMs: ANSWER_LIMIT_MS });
    return ok('', `a server responds at ${address} (version ${serverVersion})`);
  } catch (error) {
    const fix =
      'Read its log, and compare the token and the clocks. If it is another program, choose another address.';
    return failure('', `the program at ${address} does not respond as this server: ${messageOf(error)}`, fix);
  }
}
