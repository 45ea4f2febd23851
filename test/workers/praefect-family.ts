import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { startPostgres, type TestDatabase } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { PraefectProcess } from '../cluster/faults/praefect-process.ts';

const NODES = 3;
/** Workers besides the process that accepts connections. */
const WORKERS = 2;
/** A busy machine compiles the sources slowly. */
const START_LIMIT_MS = 120_000;
const ACCEPTS = 'a worker process accepts connections';

type Line = Readonly<Record<string, unknown>>;

/** A Gitaly in a separate process. Its directory stays when it is killed. */
export class FamilyNode {
  /** Name of its storage, `gitaly-1` and so on. */
  readonly storage: string;
  readonly #directory: string;
  #process: GitalyProcess;

  private constructor(storage: string, directory: string, process: GitalyProcess) {
    this.storage = storage;
    this.#directory = directory;
    this.#process = process;
  }

  static async start(storage: string, parent: string): Promise<FamilyNode> {
    const directory = join(parent, storage);
    mkdirSync(directory);
    return new FamilyNode(storage, directory, await startGitalyProcess({ directory, storage }));
  }

  get address(): string {
    return this.#process.address;
  }

  /** Returns the path of a repository on its disk. */
  pathOf(relativePath: string): string {
    return join(this.#directory, 'default', relativePath);
  }

  /** Resolves when the process has ended. */
  async kill(): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }

  /** Starts it again, after a kill. */
  async restart(): Promise<void> {
    this.#process = await startGitalyProcess({ directory: this.#directory, storage: this.storage });
  }
}

export interface PraefectFamilyOptions {
  /** Default `per_repository`. */
  readonly strategy?: 'per_repository' | 'sql';
  /** Additional lines of Praefect's configuration file; tables only. */
  readonly config?: string;
  /** Additional settings of the workers. */
  readonly settings?: object;
}

/** A Praefect of three processes in front of three Gitalys, with a PostgreSQL. */
export class PraefectFamily implements AsyncDisposable {
  readonly nodes: readonly FamilyNode[];
  readonly postgres: TestDatabase;
  readonly praefect: PraefectProcess;
  readonly lines: Line[];
  readonly address: string;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    parts: Pick<PraefectFamily, 'nodes' | 'postgres' | 'praefect' | 'lines' | 'address'>,
    resources: AsyncDisposableStack,
  ) {
    this.nodes = parts.nodes;
    this.postgres = parts.postgres;
    this.praefect = parts.praefect;
    this.lines = parts.lines;
    this.address = parts.address;
    this.#resources = resources;
  }

  static async start({
    config = '',
    settings = {},
    strategy = 'per_repository',
  }: PraefectFamilyOptions = {}): Promise<PraefectFamily> {
    await using building = new AsyncDisposableStack();
    const directory = makeScratchDirectory('praefects');
    building.defer(() => rmSync(directory, { recursive: true, force: true }));
    const postgres = building.use(await startPostgres());
    const nodes: FamilyNode[] = [];
    for (let number = 1; number <= NODES; number++) {
      const node = await FamilyNode.start(`gitaly-${number}`, directory);
      building.defer(() => node.kill());
      nodes.push(node);
    }
    const socket = join(directory, 'praefect.socket');
    const path = join(directory, 'config.toml');
    writeFileSync(path, configText(socket, { config, nodes, postgres, strategy }));
    const lines: Line[] = [];
    const praefect = building.use(
      await PraefectProcess.start(path, {
        onLine: (line) => lines.push(line),
        env: { GITALY_TESTING_WORKERS: JSON.stringify({ start: WORKERS, tickMs: 100, ...settings }) },
      }),
    );
    const parts = { nodes, postgres, praefect, lines, address: `unix:${socket}` };
    const family = new PraefectFamily(parts, building.move());
    await family.ready(WORKERS);
    return family;
  }

  /** Waits until as many workers have become ready since the start. */
  async ready(count: number): Promise<void> {
    await until(
      () => this.readyWorkers.length >= count,
      () => JSON.stringify(this.lines.slice(-20)),
      START_LIMIT_MS,
    );
  }

  /** Process ids of the workers that have become ready, in order. */
  get readyWorkers(): readonly number[] {
    return this.lines.filter(({ msg }) => msg === ACCEPTS).map(({ worker_pid }) => Number(worker_pid));
  }

  /** Returns the process id of the last worker with a number. */
  pidOf(worker: number): number {
    // The line has the field twice: of the process that logs, then of the one that it names.
    const line = this.lines.findLast((each) => each.msg === ACCEPTS && each.worker === worker);
    return Number(line?.worker_pid);
  }

  async metrics(): Promise<string> {
    const started = this.lines.find(({ msg }) => msg === 'starting prometheus listener');
    return await (await fetch(`http://${started?.address}/metrics`)).text();
  }

  /** Opens a connection to each process, in the order of their numbers. It repeats no call. */
  async connectAll(): Promise<readonly Connection[]> {
    const found = new Map<number, Connection>();
    for (let attempt = 0; found.size <= WORKERS; attempt++) {
      const connection = await dial(this.address, { retry: false });
      const correlationId = `attempt-${attempt}-${performance.now()}`;
      await connection.server.clockSynced({}, { correlationId }).catch(() => {});
      let worker: number | undefined;
      await until(() => {
        worker = this.#servedBy(correlationId);
        return worker !== undefined;
      }, 'the call is logged');
      if (found.has(worker ?? 0)) await connection.close();
      else found.set(worker ?? 0, connection);
    }
    return [...found].sort(([a], [b]) => a - b).map(([, connection]) => connection);
  }

  #servedBy(correlationId: string): number | undefined {
    const line = this.lines.find(
      (each) => each.correlation_id === correlationId && String(each.msg).startsWith('finished'),
    );
    return line && Number(line.worker);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

function configText(
  socket: string,
  {
    config,
    nodes,
    postgres,
    strategy,
  }: Required<Pick<PraefectFamilyOptions, 'config' | 'strategy'>> &
    Pick<PraefectFamily, 'nodes' | 'postgres'>,
): string {
  const { dbname, host, user } = postgres.config;
  const listed = nodes.map(
    ({ address, storage }) => `[[virtual_storage.node]]\nstorage = "${storage}"\naddress = "${address}"\n`,
  );
  return `socket_path = "${socket}"
i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true
prometheus_listen_addr = "127.0.0.1:0"
[workers]
max = ${WORKERS + 1}
[failover]
election_strategy = "${strategy}"
[logging]
format = "json"
[database]
host = "${host}"
user = "${user}"
dbname = "${dbname}"
${config}
[[virtual_storage]]
name = "default"
${listed.join('')}`;
}
