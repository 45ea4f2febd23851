import { Console } from '#console/index';
import type { ConsoleStatus } from '#console/server-status';
import { fileAuthentication, type HttpGateway, startHttpGateway, storageMapping } from '#gateway/index';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

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

/** Starts a server with a gateway and a console. */
export async function openConsole({ authFile }: { readonly authFile?: string } = {}): Promise<OpenedConsole> {
  const gitaly = await startGitaly({ config: { prometheus_listen_addr: '127.0.0.1:0' } });
  const { connection } = gitaly;
  const monitoring = gitaly.log.find(({ msg }) => msg === 'starting prometheus listener')?.address;
  const status = async () => (await (await fetch(`http://${monitoring}/debug/top`)).json()) as ConsoleStatus;
  const pages = new Console({ connection, storage: 'default', status });
  const gateway = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    pages,
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
