import type { GatewayFamily, SharedGateway } from '#gateway/family';
import type { HttpGateway, SshGateway } from '#gateway/index';
import { GitalyServer, type Logger } from '#gitaly/index';
import type { Working } from '#workers/family';
import { answer } from '#workers/protocol';
import { type GatewayInWorker, runWorker, type ServerInWorker } from '#workers/run-worker';
import { openUpHttp, parseUpHttp } from '../up-http.ts';
import { lfsStoreOf } from '../up-lfs.ts';
import { openUpLog } from '../up-log.ts';
import { upPeople } from '../up-people.ts';
import { targetOf } from '../up-server.ts';
import { openUpSsh, parseUpSsh } from '../up-ssh.ts';
import { upTokens } from '../up-tokens.ts';
import type { UpGreeting } from './greeting.ts';
import { WorkerPages } from './pages-by-link.ts';
import { repositoriesOf } from './repositories-by-link.ts';
import { GATEWAYS } from './share-gateways.ts';
import { slotsOf } from './slots-by-link.ts';

/** The supervisor limits the time. This is setTimeout's maximum. */
const NO_LIMIT_MS = 2_147_483_647;

/** Runs a worker process of `gitaly-ts up`, until its supervisor ends it. Resolves to the exit code. */
export async function runUpWorker(): Promise<number> {
  return await runWorker<UpGreeting>({
    title: 'gitaly-ts',
    server: 'gitaly-ts up --workers N',
    log: process.stderr.fd,
    start: startInWorker,
  });
}

async function startInWorker(greeting: UpGreeting, family: Working, logger: Logger): Promise<ServerInWorker> {
  const { config, settings } = greeting;
  await using starting = new AsyncDisposableStack();
  const { keepsHistory, trustsUnixSockets } = settings;
  const server = starting.use(
    await GitalyServer.start({ config, logger, keepsHistory, trustsUnixSockets }, family),
  );
  const { http, ssh } = await openGateways(greeting, server, family, starting);
  const gateways = new Map<'http' | 'ssh', GatewayInWorker>();
  if (http !== undefined) gateways.set('http', http);
  if (ssh !== undefined) gateways.set('ssh', ssh);
  const resources = starting.move();
  return {
    gateways,
    contain: (exception) => server.contain(exception),
    drain: async () => {
      await Promise.all([http, ssh].map((one) => one?.close({ graceMs: NO_LIMIT_MS })));
      await server.drain();
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

interface Gateways {
  readonly http: (HttpGateway & SharedGateway) | undefined;
  readonly ssh: (SshGateway & SharedGateway) | undefined;
}

/** Opens the gateways of the command line, with what is one for all processes. */
async function openGateways(
  { bundles, directory, givenToken, options, settings }: UpGreeting,
  server: GitalyServer,
  { link }: Working,
  resources: AsyncDisposableStack,
): Promise<Gateways> {
  const family: GatewayFamily = {
    sharing: { role: 'worker' },
    state: {
      calls: slotsOf(link, 'calls'),
      requests: slotsOf(link, 'requests'),
      events: slotsOf(link, 'events'),
      newRepositories: repositoriesOf(link),
    },
  };
  const log = openUpLog(options);
  if (log !== undefined) resources.use(log);
  const onAccess = log?.add;
  const verifier = await upTokens(directory, options);
  const people = await upPeople({ ...options, directory });
  const logins = slotsOf(link, 'logins');
  const parsed = await parseUpHttp(options, { token: givenToken, verifier, people, logins });
  const target = targetOf(server, settings);
  const pages = parsed?.hasConsole === true ? resources.use(new WorkerPages(link, target)) : undefined;
  const hasEvents = settings.hasEvents;
  const http =
    parsed &&
    (await openUpHttp(parsed, target, {
      bundles,
      lfs: lfsStoreOf(directory, options),
      pages,
      hasEvents,
      family,
      onAccess,
    }));
  if (http !== undefined) resources.use(http);
  const reload = (): void => {
    log?.reopen();
    void http?.reload();
  };
  answer(link, GATEWAYS, { reload });
  const lfs = { directory, httpUrl: http?.url, options };
  const parsedSsh = parseUpSsh(options, { people, verifier });
  const ssh = parsedSsh && (await openUpSsh(parsedSsh, { ...target, directory, lfs, family, onAccess }));
  if (ssh !== undefined) resources.use(ssh);
  return { http, ssh };
}
