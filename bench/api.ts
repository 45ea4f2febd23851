import { Agent, request } from 'node:http';
import { type Connection, dial } from '#client/index';
import { commitFiles } from './commit-files.ts';
import { type Bench, median, takeTurns } from './lib/bench.ts';
import { cpuTime } from './lib/process-usage.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';

const CLIENTS = 16;
const CPU_GOAL = { of: 'ratio', atMost: 1.3 } as const;

/** A kind of call, by both ways. */
interface Pair {
  readonly name: string;
  readonly calls: number;
  readonly clients: number;
  readonly api: (number: number, client: number) => Promise<unknown>;
  readonly rpc: (number: number, client: number) => Promise<unknown>;
}

/** Measures operations of the API, compared with their RPC through the client, on one `up`. */
export const bench: Bench = {
  name: 'api',
  question: 'operations of the JSON API, against the same RPC by the client; one process serves both',
  async *run(workshop) {
    const repository = await workshop.repository('5k-files', 'api.git');
    for (let client = 0; client < CLIENTS; client++)
      for (const way of ['api', 'rpc']) await git(repository.path, ['branch', `${way}-${client}`, 'main']);
    const gateway = await workshop.gateway();
    await using connection = await dial(`unix:${gateway.socket}`);
    const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
    const path = encodeURIComponent(repository.wire.relativePath ?? '');
    const address = `${gateway.url}/-/api/v1/repositories/${path}`;
    const send = async (method: string, below: string, body?: object): Promise<void> =>
      await exchange(agent, method, `${address}${below}`, body);
    const scale = workshop.quick ? 10 : 1;
    let number = 0;
    for (const pair of pairsOf(connection, repository, send)) {
      const measured = (call: Pair['api']) => async () => {
        const [before, startedAt] = [cpuTime(gateway.pid), performance.now()];
        const calls = Math.ceil(pair.calls / scale);
        let left = calls;
        const client = async (_: unknown, index: number): Promise<void> => {
          while (left-- > 0) await call(number++, index);
        };
        await Promise.all(Array.from({ length: pair.clients }, client));
        const { ownMs } = cpuTime(gateway.pid);
        return {
          cpuUs: ((ownMs - before.ownMs) * 1000) / calls,
          perSecond: (calls * 1000) / (performance.now() - startedAt),
        };
      };
      const ways = { api: measured(pair.api), rpc: measured(pair.rpc) };
      await takeTurns(2, ways); // warms up
      const samples = await takeTurns(workshop.quick ? 2 : 5, ways);
      const [api, rpc] = [samples.api, samples.rpc].map((each) => ({
        cpuUs: median(each.map(({ cpuUs }) => cpuUs)),
        perSecond: median(each.map(({ perSecond }) => perSecond)),
      }));
      if (api === undefined || rpc === undefined) continue;
      yield {
        ...{ name: `${pair.name}, CPU of a call`, value: api.cpuUs, unit: 'µs', goal: CPU_GOAL },
        reference: { name: 'RPC', value: rpc.cpuUs },
        note: `${(api.perSecond / rpc.perSecond).toFixed(2)} × the calls/s of the RPC`,
      };
    }
    agent.destroy();
  },
};

function pairsOf(
  connection: Connection,
  repository: StoredRepository,
  send: (method: string, path: string, body?: object) => Promise<void>,
): Pair[] {
  const at = { repository: repository.wire };
  const main = Buffer.from('main');
  // Each client has a branch of its own: a branch has one writer at a time.
  const commit = {
    api: (number: number, client: number) =>
      send('POST', '/commits', {
        ...{ branch: `api-${client}`, message: 'change' },
        actions: [{ action: 'create', path: `api/${number % 100}/${number}`, content: `${number}\n` }],
      }),
    rpc: (number: number, client: number) =>
      commitFiles(connection, repository, [`rpc/${number % 100}/${number}`], `rpc-${client}`),
  };
  return [
    {
      ...{ name: 'readCommit', calls: 2000, clients: 1 },
      api: () => send('GET', '/commits/main'),
      rpc: () => connection.commit.findCommit({ ...at, revision: main }),
    },
    {
      ...{ name: 'readReference', calls: 2000, clients: 1 },
      api: () => send('GET', '/references/refs/heads/main'),
      rpc: async () => {
        const patterns = [Buffer.from('refs/heads/main')];
        for await (const _ of connection.ref.listRefs({ ...at, patterns, peelTags: true }));
      },
    },
    {
      ...{ name: 'listCommits of 20', calls: 1000, clients: 1 },
      api: () => send('GET', '/commits?revision=main&limit=20'),
      rpc: async () => {
        const revisions = ['main'];
        for await (const _ of connection.commit.listCommits({
          ...at,
          revisions,
          paginationParams: { limit: 20 },
        }));
      },
    },
    {
      ...{ name: 'readFile', calls: 1000, clients: 1 },
      api: () => send('GET', '/files/files/7/350?revision=main'),
      rpc: async () => {
        const path = Buffer.from('files/7/350');
        for await (const _ of connection.commit.treeEntry({ ...at, revision: main, path }));
      },
    },
    { name: 'createCommit', calls: 200, clients: 1, ...commit },
    { name: `createCommit, ${CLIENTS} clients`, calls: 400, clients: CLIENTS, ...commit },
  ];
}

/** Sends a request and reads its answer. */
async function exchange(agent: Agent, method: string, url: string, body: object | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const sent = request(url, { agent, method, headers }, (response) => {
      const { statusCode = 0 } = response;
      response.resume();
      response.once('error', reject);
      response.once('end', () =>
        statusCode < 300 ? resolve() : reject(new Error(`${method} ${url}: status ${statusCode}`)),
      );
    });
    sent.once('error', reject);
    sent.end(body && JSON.stringify(body));
  });
}
