import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { asGoStatus } from '#base/go/status';
import { type Connection, dial } from '#client/index';
import { HealthCheckResponse_ServingStatus as Status } from '#wire/gen/grpc/health/v1/health_pb';
import type { PraefectConfig } from '../config/schema.ts';

/** A server, which may serve several storages. */
interface Target {
  readonly address: string;
  token: string | undefined;
  /** Virtual storages by storage. */
  readonly storages: Map<string, string[]>;
}

/**
 * Checks that each node responds, is healthy and serves the configured storages.
 *
 * @param print receives the progress.
 * @throws {Error} `the following nodes are not healthy: …`
 */
export async function pingNodes(
  { virtualStorage }: PraefectConfig,
  { print, timeoutMs }: { print: (line: string) => void; timeoutMs: number },
): Promise<void> {
  const targets = new Map<string, Target>();
  for (const { name, node: nodes } of virtualStorage) {
    for (const { address, storage, token } of nodes) {
      const target = targets.get(address) ?? { address, token: undefined, storages: new Map() };
      target.token = token?.reveal();
      target.storages.set(storage, [...(target.storages.get(storage) ?? []), name]);
      targets.set(address, target);
    }
  }
  const results = await Promise.all(
    [...targets.values()].map(async (target) => ({
      address: target.address,
      isHealthy: await ping(target, (text) => print(`[${target.address}]: ${text}`), timeoutMs),
    })),
  );
  const unhealthy = results.filter(({ isHealthy }) => !isHealthy).map(({ address }) => address);
  if (unhealthy.length > 0) throw new Error(`the following nodes are not healthy: ${unhealthy.join(', ')}`);
}

async function ping(target: Target, log: (text: string) => void, timeoutMs: number): Promise<boolean> {
  const { address, token } = target;
  log('dialing...');
  let connection: Connection;
  try {
    connection = await dial(address, { ...(token !== undefined && { token }), retry: false });
  } catch (error) {
    log(`ERROR: dialing failed: ${messageOf(error)}`);
    return false;
  }
  await using _closed = connection;
  log('dialed successfully!');
  log('checking health...');
  try {
    const { status } = await connection.health.check({}, { timeoutMs });
    if (status !== Status.SERVING) {
      log(`ERROR: health check did not report serving, instead reported: ${Status[status]}`);
      return false;
    }
  } catch (error) {
    log(`ERROR: unable to request health check: ${messageOf(asGoStatus(error))}`);
    return false;
  }
  log('SUCCESS: node is healthy!');
  log('checking consistency...');
  if (!(await isConsistent(connection, target, { log, timeoutMs }))) {
    log('ERROR: consistency check failed');
    return false;
  }
  log('SUCCESS: node configuration is consistent!');
  return true;
}

async function isConsistent(
  connection: Connection,
  { storages }: Target,
  { log, timeoutMs }: { log: (text: string) => void; timeoutMs: number },
): Promise<boolean> {
  const info = await connection.server.serverInfo({}, { timeoutMs }).catch((error: unknown) => {
    log(`ERROR: failed to receive state from the remote: ${messageOf(asGoStatus(error))}`);
  });
  if (info === undefined) return false;
  if (info.storageStatuses.length === 0) {
    log('ERROR: remote has no configured storages');
    return false;
  }
  let isGood = true;
  const seen = new Set<string>();
  const missing = new Set(storages.keys());
  for (const { readable, storageName: name, writeable } of info.storageStatuses) {
    const virtualStorages = storages.get(name);
    if (virtualStorages === undefined) continue;
    const problem = seen.has(name)
      ? `remote has duplicated storage: ${quote(name)}`
      : `storage ${quote(name)} is not readable or writable`;
    if (!seen.has(name) && readable && writeable) {
      const where = `in virtual storages [${virtualStorages.join(' ')}]`;
      log(`SUCCESS: confirmed Gitaly storage ${quote(name)} ${where} is served`);
      missing.delete(name);
    } else {
      log(`ERROR: ${problem}`);
      isGood = false;
    }
    seen.add(name);
  }
  for (const name of missing) log(`ERROR: configured storage was not reported by remote: ${quote(name)}`);
  return isGood && missing.size === 0;
}
