import { messageOf } from '#base/gitaly-error';
import type { Secret } from '#base/secret';
import type { People } from '#gateway/people/people';
import { parseMetricsAddress } from '../listen-address.ts';
import { databaseKeys } from './cluster/database-url.ts';
import type { UpClusterOptions } from './cluster/up-cluster.ts';
import { GatewayArgumentError } from './gateway-options.ts';
import { parseUpEvents, type UpEvents } from './up-events.ts';
import { parseUpGrpc, type UpGrpc } from './up-grpc.ts';
import { limitsOf, parseUpHttp, type UpHttp } from './up-http.ts';
import { checkUpLog } from './up-log.ts';
import type { UpOptions } from './up-options.ts';
import { upPeople } from './up-people.ts';
import { upLogger } from './up-server.ts';
import { parseUpSsh, type UpSsh } from './up-ssh.ts';
import { givenToken } from './up-token.ts';
import { upTokens, verifierOf } from './up-tokens.ts';
import type { UpWorkers } from './workers/start-up-family.ts';

/** The parts of `gitaly-ts up`, before its start. */
export interface UpParts {
  readonly options: UpOptions;
  readonly givenToken: Secret | undefined;
  readonly workers: UpWorkers | undefined;
  readonly http: UpHttp | undefined;
  readonly ssh: UpSsh | undefined;
  readonly people: People | undefined;
  readonly grpc: UpGrpc;
  readonly cluster: Pick<UpClusterOptions, 'nodes' | 'database'> | undefined;
  readonly events: UpEvents | undefined;
  readonly archive: string | undefined;
  /** `HOST:PORT` of the listener for monitoring. */
  readonly metrics: string | undefined;
  readonly isNewToken: boolean;
  readonly isJson: boolean;
}

/**
 * Parses the options of `gitaly-ts up`, and reads their files.
 *
 * @throws {AddressError}; {GatewayArgumentError}; the error of a file or a URL.
 */
export async function parseUp(options: UpOptions): Promise<UpParts> {
  const token = givenToken(options);
  const verifier = await upTokens(options.directory, options);
  const workers = await parseUpWorkers(options);
  const people = await upPeople(options);
  const http = await parseUpHttp(options, { token, verifier, people, logins: workers?.shared.logins });
  const grpc = parseUpGrpc(options.grpc, token);
  const parts: UpParts = {
    options,
    givenToken: token,
    workers,
    http,
    ssh: parseUpSsh(options, { people, verifier }),
    people,
    grpc,
    cluster: parseUpCluster(options),
    events: parseUpEvents(options),
    archive: options.archive,
    metrics: parseUpMetrics(options),
    isNewToken: token === undefined && grpc.token !== undefined,
    isJson: options.json === true,
  };
  checkUpLog(options);
  checkTogether(parts);
  return parts;
}

/** Refuses options that have no effect together. @throws {GatewayArgumentError} */
function checkTogether({
  archive,
  cluster,
  givenToken: token,
  grpc,
  http,
}: Pick<UpParts, 'archive' | 'cluster' | 'givenToken' | 'grpc' | 'http'>): void {
  if (token !== undefined && grpc.token === undefined && http?.usesToken !== true) {
    throw new GatewayArgumentError(
      'a token has no effect here: add --grpc ADDRESS, or --http with an address that other machines reach',
    );
  }
  if (http?.bundleUrl !== undefined && cluster !== undefined)
    throw new GatewayArgumentError('--bundle-url has no effect with --cluster: the nodes need a bucket');
  if (archive !== undefined && cluster !== undefined)
    throw new GatewayArgumentError(
      '--archive has no effect with --cluster: set it in the files of the nodes',
    );
}

/**
 * Returns the problem of each part that {@link parseUp} would refuse. It creates nothing, so any
 * user may call it.
 */
export async function upProblems(options: UpOptions): Promise<string[]> {
  const problems: string[] = [];
  const attempt = async <T>(parse: () => Promise<T> | T): Promise<T | undefined> => {
    try {
      return await parse();
    } catch (error) {
      problems.push(messageOf(error));
      return undefined;
    }
  };
  const token = await attempt(() => givenToken(options));
  const verifier = await attempt(() => verifierOf(options.directory, options));
  await attempt(() => parseUpWorkers(options));
  const people = await attempt(() => upPeople(options));
  const http = await attempt(() => parseUpHttp(options, { token, verifier, people }));
  const grpc = await attempt(() => parseUpGrpc(options.grpc, token));
  await attempt(() => parseUpSsh(options, { people, verifier }));
  const cluster = await attempt(() => parseUpCluster(options));
  await attempt(() => parseUpEvents(options));
  await attempt(() => parseUpMetrics(options));
  await attempt(() => checkUpLog(options));
  if (problems.length === 0 && grpc !== undefined)
    await attempt(() => checkTogether({ archive: options.archive, cluster, givenToken: token, grpc, http }));
  return problems;
}

/** Returns what starts further processes; `undefined` if there can be none. */
async function parseUpWorkers(options: UpOptions): Promise<UpWorkers | undefined> {
  const { cluster, workers = 1 } = options;
  if (workers === 1) return undefined;
  if (cluster !== undefined)
    throw new GatewayArgumentError('--workers has no effect with --cluster: each node is a process');
  // Loaded here: one process needs none of it.
  const { prepareWorkers } = await import('./workers/start-up-family.ts');
  return prepareWorkers(workers, upLogger(), limitsOf(options));
}

function parseUpMetrics({ metrics }: UpOptions): string | undefined {
  if (metrics !== undefined) parseMetricsAddress(metrics);
  return metrics;
}

function parseUpCluster({ cluster: nodes, database }: UpOptions): UpParts['cluster'] {
  if (nodes !== undefined)
    return { nodes, database: database === undefined ? undefined : databaseKeys(database) };
  if (database !== undefined) throw new GatewayArgumentError('--database has no effect without --cluster N');
  return undefined;
}
