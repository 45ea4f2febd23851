import { once } from 'node:events';
import { waitAtMost } from '#base/async/wait-at-most';
import { messageOf } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { isError } from '#base/is-error';
import { type Connection, dial } from '#client/index';
import { type HttpGateway, PAGES_PATH, type SshGateway } from '#gateway/index';
import { ServiceManager } from '#platform/process/service-manager';
import { listenForStop, type StopSignals } from '#platform/process/signals';
import { watchExceptions } from '#platform/process/watch-exceptions';
import { MirrorDirectory } from '#tools/mirror/mirror-directory';
import { AddressError } from '../listen-address.ts';
import { ConsolePages } from '../serve/console-pages.ts';
import { GatewayArgumentError } from './gateway-options.ts';
import { parseUp, type UpParts } from './parse-up.ts';
import { makeSampleRepository } from './sample-repository.ts';
import { prepareBundles } from './up-bundles.ts';
import { DirectoryInUseError, openUpDirectory, type UpDirectory } from './up-directory.ts';
import { openUpHttp } from './up-http.ts';
import { lfsStoreOf, prepareLfs, serverLfsOf } from './up-lfs.ts';
import { openUpLog } from './up-log.ts';
import { startUpMirrors } from './up-mirrors.ts';
import type { UpOptions } from './up-options.ts';
import { jsonReport, textReport, type UpReport } from './up-report.ts';
import {
  type StartUpServerOptions,
  startUpServer,
  type UpServer,
  type UpServerOptions,
  upConfig,
  upLogger,
  upSettings,
} from './up-server.ts';
import { describeSsh, type GatewayTarget, openUpSsh } from './up-ssh.ts';
import type { GatewaySupervisor } from './workers/share-gateways.ts';

/** Time that running clones and pushes have after Ctrl-C; a second Ctrl-C ends them at once. */
const GRACE_MS = 5000;

/** Advice for an address on which the server cannot listen. */
const ADVICE: Readonly<Record<string, string>> = {
  EACCES: 'Choose another address; ports below 1024 may need a privilege.',
  EADDRINUSE: 'Choose another address, or stop the program that listens there.',
  EADDRNOTAVAIL: 'Choose an address of this machine, or 0.0.0.0 for all its addresses.',
  ENOTFOUND: 'Choose an address of this machine, or 0.0.0.0 for all its addresses.',
};

const README = `# hello

This repository was created by \`gitaly-ts up\`. Clone it, change it, push it back.
A push to a name that does not exist yet creates a repository.
`;

/**
 * Runs `gitaly-ts up`: a Git server or a cluster, and an HTTP gateway in front of it, without a
 * configuration file, until a signal ends it.
 *
 * @returns the exit code: 0 after a stop, 1 if it cannot start or an exception stopped it, 2 for a
 *   wrong command line.
 */
export async function runUp(options: UpOptions): Promise<number> {
  process.title = 'gitaly-ts';
  using signals = listenForStop();
  // From the beginning: a service manager may send it early.
  const reloading = { reload: () => {} };
  signals.useHangup(() => reloading.reload());
  using systemd = new ServiceManager({
    onProblem: (error) => process.stderr.write(`gitaly-ts: systemd is not notified: ${error}\n`),
  });
  try {
    const parts = await parseUp(options);
    const kind = parts.cluster === undefined ? 'server' : 'cluster';
    await using directory = await openUpDirectory(options.directory, kind);
    return await run(parts, directory, { signals, reloading, systemd });
  } catch (error) {
    if (signals.stop.aborted) return 0; // during the start
    process.stderr.write(`gitaly-ts up: ${explain(error)}\n`);
    return error instanceof AddressError || error instanceof GatewayArgumentError ? 2 : 1;
  }
}

interface RunContext {
  readonly signals: StopSignals;
  /** Its function is called for SIGHUP. */
  readonly reloading: { reload: () => void };
  readonly systemd: ServiceManager;
}

async function run(
  parts: UpParts,
  directory: UpDirectory,
  { reloading, signals, systemd }: RunContext,
): Promise<number> {
  const { events, http, isJson, options, ssh } = parts;
  await using log = openUpLog(options);
  const { bundleUrl, hasConsole = false } = http ?? {};
  await prepareLfs(directory.path, options);
  const bundles = bundleUrl === undefined ? undefined : await prepareBundles(directory.path, bundleUrl);
  let problems = ['the gateways are not open yet'];
  const serverLfs = serverLfsOf(directory.path, options);
  const serverOptions = { ...parts, bundles, hasConsole, lfs: serverLfs, problems: () => problems };
  const { gateways: others, server: started } = await startServer(directory, serverOptions, signals);
  await using server = started;
  using exceptions = watchExceptions({ contain: (exception) => server.contain(exception) });
  const { target } = server;
  let sshAddress: string | undefined;
  await using pages = hasConsole
    ? new ConsolePages({
        ...{ target, ...server.console, sshAddress: () => sshAddress },
        mirrors: new MirrorDirectory(directory.path),
      })
    : undefined;
  const onAccess = log?.add;
  const lfs = lfsStoreOf(directory.path, options);
  const settings = { bundles: bundles?.gateway, lfs, pages, hasEvents: events !== undefined, onAccess };
  await using gateway = http && (await openUpHttp(http, target, { ...settings, family: others?.of('http') }));
  const rights = { authenticator: http?.settings.authenticator, lfs: gateway?.lfs };
  if (pages !== undefined) others?.sharePages({ pages, ...rights });
  const sshLfs = { directory: directory.path, httpUrl: gateway?.url, options };
  const sshOptions = {
    ...target,
    directory: directory.path,
    lfs: sshLfs,
    family: others?.of('ssh'),
    onAccess,
  };
  await using sshGateway = ssh && (await openUpSsh(ssh, sshOptions));
  sshAddress = sshGateway?.url;
  reloading.reload = () => {
    log?.reopen();
    void gateway?.reload();
    others?.reload();
  };
  await makeHello(target, parts.archive !== undefined);
  await using _mirrors = startUpMirrors(directory, target);

  const report = reportOf(parts, { directory, gateway, hasPages: pages !== undefined, server, sshGateway });
  directory.describe(report.http ?? target.address);
  process.stdout.write(isJson ? jsonReport(report) : textReport(report));
  problems = [];
  systemd.ready();
  await aborted(AbortSignal.any([signals.stop, exceptions.stop]));
  systemd.stopping();
  if (!isJson) process.stdout.write('\nStopping. Press Ctrl-C again to stop at once.\n');
  const drained = drain([gateway, sshGateway], server);
  await Promise.race([drained, aborted(AbortSignal.any([signals.force, exceptions.force]))]);
  return exceptions.stop.aborted ? 1 : 0;
}

interface Running {
  readonly directory: UpDirectory;
  readonly gateway: HttpGateway | undefined;
  readonly hasPages: boolean;
  readonly server: UpServer;
  readonly sshGateway: SshGateway | undefined;
}

function reportOf(
  { grpc, isNewToken, people, ssh }: UpParts,
  { directory, gateway, hasPages, server, sshGateway }: Running,
): UpReport {
  return {
    http: gateway?.url,
    console: hasPages ? gateway && `${gateway.url}${PAGES_PATH}` : undefined,
    ssh: sshGateway && ssh && describeSsh(sshGateway, ssh),
    people: people?.path,
    grpc: server.grpc,
    metrics: server.metrics,
    token: grpc.token,
    isNewToken,
    directory: directory.path,
    storages: server.storages,
    ...(server.cluster && { cluster: server.cluster }),
  };
}

/** Lets running clones and pushes end, within their time. */
async function drain(
  gateways: readonly (HttpGateway | SshGateway | undefined)[],
  server: UpServer,
): Promise<void> {
  const ends = gateways.map((one) => one?.close({ graceMs: GRACE_MS }));
  const others = server.drainOthers?.();
  await Promise.all([...ends, others && waitAtMost(others, GRACE_MS)]);
}

interface StartServerOptions
  extends UpServerOptions,
    Pick<UpParts, 'cluster' | 'givenToken' | 'options' | 'workers'>,
    Pick<StartUpServerOptions, 'problems'> {}

interface StartedServer {
  readonly server: UpServer;
  /** The gateways of further processes. */
  readonly gateways?: GatewaySupervisor | undefined;
}

async function startServer(
  directory: UpDirectory,
  { cluster, givenToken, options, problems, workers, ...parts }: StartServerOptions,
  { force, stop: signal }: StopSignals,
): Promise<StartedServer> {
  if (cluster === undefined) {
    const config = upConfig(directory, parts);
    const settings = upSettings(parts);
    const bundles = parts.bundles?.gateway;
    const own = workers?.start({ config, settings, options, givenToken, bundles, directory: directory.path });
    const server = await startUpServer(directory, {
      config,
      settings,
      logger: own?.logger ?? upLogger(),
      family: own?.family,
      problems,
    });
    return { server, gateways: own?.gateways };
  }
  // Loaded here: it brings the database client along.
  const { startUpCluster } = await import('./cluster/up-cluster.ts');
  const { events, grpc, hasConsole, lfs, metrics } = parts;
  const clusterOptions = { ...cluster, grpc, events, hasConsole, lfs, metrics, signal, force };
  return { server: await startUpCluster(directory, clusterOptions) };
}

/** Creates the sample repository, but not in addition to those of an archive. */
async function makeHello({ address, storage, token }: GatewayTarget, isArchived: boolean): Promise<void> {
  await using connection = await dial(address, token === undefined ? {} : { token });
  if (isArchived && (await hasArchivedRepositories(connection, storage))) return;
  await makeSampleRepository(
    connection,
    { storageName: storage, relativePath: 'hello.git', glRepository: 'hello.git' },
    README,
  );
}

function explain(error: unknown): string {
  if (error instanceof DirectoryInUseError)
    return `${error.message}. Stop it first, or choose another directory.`;
  const message = messageOf(error);
  const advice = /^(?:listen|getaddrinfo) /.test(message) ? ADVICE[listenCodeOf(error) ?? ''] : undefined;
  return advice === undefined ? message : `${message}. ${advice}`;
}

/** Returns the code of a failed listen: the gateways throw the system's error, the server wraps it. */
function listenCodeOf(error: unknown): string | undefined {
  return systemErrorCode(error) ?? (isError(error) ? systemErrorCode(error.cause) : undefined);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

/** Reports whether an archive has repositories; true also when it cannot be read. */
async function hasArchivedRepositories(connection: Connection, storageName: string): Promise<boolean> {
  try {
    for await (const { repositories } of connection.archives.listRepositories({ storageName }))
      if (repositories.length > 0) return true;
    return false;
  } catch {
    return true;
  }
}
