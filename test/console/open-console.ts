import { Console, type ConsoleOptions } from '#console/index';
import { fileAuthentication, type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { GitalyServer } from '#gitaly/index';
import { type StartGitalyOptions, startGitalyWith, type TestGitaly } from '#testkit/start-gitaly';

export interface OpenedConsole extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  readonly gateway: HttpGateway;
  /** Address of the console. */
  readonly url: string;
  /** Requests a page. */
  get(path: string, headers?: Record<string, string>): Promise<ConsolePage>;
  /** Requests the JSON form of a page. */
  // biome-ignore lint/suspicious/noExplicitAny: the tests read fields of many pages
  json(path: string, headers?: Record<string, string>): Promise<any>;
}

export interface ConsolePage {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface OpenConsoleOptions {
  readonly authFile?: string;
  /** State of a cluster that the console shows. */
  readonly cluster?: NonNullable<ConsoleOptions['cluster']>;
  /** Sources of the pages, instead of the server's. */
  readonly sources?: Pick<ConsoleOptions, 'history' | 'mirrors' | 'nodes' | 'status'>;
  /** URL of the store of Git LFS. Default: it is off. */
  readonly lfs?: string;
  /** True with the API. */
  readonly hasApi?: boolean;
  /** Additional keys of the server's configuration. */
  readonly config?: StartGitalyOptions['config'];
}

/** Starts a server with a gateway and a console. */
export async function openConsole({
  authFile,
  cluster,
  config = {},
  hasApi = false,
  lfs,
  sources,
}: OpenConsoleOptions = {}): Promise<OpenedConsole> {
  let server: GitalyServer | undefined;
  const gitaly = await startGitalyWith({ config }, async ({ config, faults, logger }) => {
    server = await GitalyServer.start({ config, faults, logger, keepsHistory: true });
    return server;
  });
  if (server === undefined) throw new Error('startGitalyWith has started no server');
  const { cancel, history, lastWrites, status } = server;
  const pages = new Console({
    connection: gitaly.connection,
    storage: 'default',
    status: status.bind(server),
    history: history.bind(server),
    cancel: cancel.bind(server),
    ...(cluster && { cluster }),
    ...sources,
    lastWrites: lastWrites.bind(server, 'default'),
    scanner: server.scanner('default'),
  });
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    pages,
    ...(lfs !== undefined && { lfs: { url: lfs } }),
    ...(hasApi && { api: { storage: 'default' } }),
    ...(authFile !== undefined && { authenticator: await fileAuthentication({ path: authFile }) }),
  });
  const url = `${gateway.url}/-/console`;
  const get = async (path: string, headers: Record<string, string> = {}): Promise<ConsolePage> => {
    const response = await fetch(`${url}${path}`, { headers, redirect: 'manual' });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return {
    gitaly,
    gateway,
    url,
    get,
    json: async (path, headers) =>
      JSON.parse((await get(path, { accept: 'application/json', ...headers })).text),
    async [Symbol.asyncDispose]() {
      await gateway.close();
      await pages[Symbol.asyncDispose]();
      await gitaly[Symbol.asyncDispose]();
    },
  };
}
