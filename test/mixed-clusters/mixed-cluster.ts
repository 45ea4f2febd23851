import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { type Database, sql } from '#praefect/database/database';
import { programCommand } from '#testkit/programs/program-command';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startInternalApi } from '#testkit/servers/internal-api';
import { startPostgres } from '#testkit/servers/start-postgres';
import { until } from '#testkit/until';
import { referencesOf } from './fixture.ts';

const START_MS = 60_000;

/** This project's program, or the path of Gitaly's. */
export type Program = 'ours' | { readonly path: string };

export interface MixedClusterOptions {
  readonly praefect: Program;
  readonly nodes: readonly Program[];
  /** The git of all nodes. */
  readonly git: string;
}

/** A replica of a repository. */
export interface Replica {
  readonly storage: string;
  /** Undefined if the database has none. */
  readonly generation: number | undefined;
  /** HEAD and all references, by line. */
  readonly references: string;
}

/** A Praefect with nodes, each in a process. */
export interface MixedCluster extends AsyncDisposable {
  readonly address: string;
  readonly connection: Connection;
  /** Copies a repository to all nodes, and records it as up to date. @param primary number of a node */
  addRepository(source: string, relativePath: string, primary: number): Promise<void>;
  /** Directories of a repository on the nodes. */
  directories(relativePath: string): Promise<readonly string[]>;
  replicas(relativePath: string): Promise<readonly Replica[]>;
  stopNode(node: number): Promise<void>;
  startNode(node: number): Promise<void>;
  /** Numbers of the nodes, from 1. */
  readonly numbers: readonly number[];
  /** Text that a node has logged. */
  logOf(node: number): string;
}

/** Starts a cluster whose storages are `gitaly-1`, `gitaly-2` … */
export async function startMixedCluster({
  praefect,
  nodes,
  git,
}: MixedClusterOptions): Promise<MixedCluster> {
  await using building = new AsyncDisposableStack();
  const directory = makeScratchDirectory('mixed');
  building.defer(() => rmSync(directory, { recursive: true, force: true }));
  const api = building.use(await startInternalApi());
  const postgres = building.use(await startPostgres({ isMigrated: praefect === 'ours' }));
  const storages = nodes.map((_, index) => `gitaly-${index + 1}`);
  const socketOf = (name: string): string => join(directory, `${name}.socket`);
  const env = { ...process.env, GITALY_TESTING_GIT_BINARY: git, PATH: `${dirname(git)}:${process.env.PATH}` };
  const log = join(directory, 'log');
  const start = async (name: string, program: Program, args: readonly string[]): Promise<ChildProcess> => {
    const ours = basename(name).startsWith('praefect') ? 'praefect' : 'gitaly';
    const [file, before] = program === 'ours' ? [process.execPath, programCommand(ours)] : [program.path, []];
    const output = openSync(`${log}-${name}`, 'a');
    rmSync(socketOf(name), { force: true });
    const child = spawn(file, [...before, ...args], { env, stdio: ['ignore', output, output] });
    await until(() => existsSync(socketOf(name)) || child.exitCode !== null, `${name} listens`, START_MS);
    if (child.exitCode !== null) throw new Error(readFileSync(`${log}-${name}`, 'utf8'));
    return child;
  };
  const stop = async (child: ChildProcess | undefined): Promise<void> => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill();
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(late);
  };
  const running: (ChildProcess | undefined)[] = [];
  building.defer(async () => {
    for (const child of running) await stop(child);
  });
  const startNode = async (index: number): Promise<void> => {
    const storage = storages[index] ?? '';
    const program = nodes[index] ?? 'ours';
    const config = join(directory, `${storage}.toml`);
    mkdirSync(join(directory, storage), { recursive: true });
    mkdirSync(join(directory, `${storage}-run`), { recursive: true });
    writeFileSync(
      config,
      `socket_path = "${socketOf(storage)}"\nruntime_dir = "${join(directory, `${storage}-run`)}"
${program === 'ours' ? '' : `bin_dir = "${dirname(program.path)}"`}
[[storage]]\nname = "${storage}"\npath = "${join(directory, storage)}"
[git]\nbin_path = "${git}"
[gitlab]\nurl = "${api.url}"\nsecret = "${api.secret}"\n`,
    );
    running[index] = await start(storage, program, ['serve', config]);
  };
  for (const index of nodes.keys()) await startNode(index);
  const config = join(directory, 'praefect.toml');
  const nodeTable = (storage: string): string =>
    `[[virtual_storage.node]]\nstorage = "${storage}"\naddress = "unix:${socketOf(storage)}"\n`;
  const { host, user, dbname } = postgres.config;
  writeFileSync(
    config,
    `socket_path = "${socketOf('praefect')}"
[database]\nhost = "${host}"\nport = 5432\nuser = "${user}"\ndbname = "${dbname}"\nsslmode = "disable"
[reconciliation]\nscheduling_interval = "1s"
[[virtual_storage]]\nname = "default"
${storages.map(nodeTable).join('')}`,
  );
  if (praefect !== 'ours') execFileSync(praefect.path, ['--config', config, 'sql-migrate']);
  const child = await start('praefect', praefect, ['--config', config]);
  building.defer(() => stop(child));
  const address = `unix:${socketOf('praefect')}`;
  const connection = building.use(await dial(address, { retry: false }));
  const { database } = postgres;
  const directories = async (relativePath: string): Promise<readonly string[]> => {
    const path = await replicaPath(database, relativePath);
    return storages.map((storage) => join(directory, storage, path));
  };
  const resources = building.move();
  return {
    address,
    connection,
    numbers: [...nodes.keys()].map((index) => index + 1),
    logOf: (node) => readFileSync(`${log}-gitaly-${node}`, 'utf8'),
    directories,
    async addRepository(source, relativePath, primary) {
      for (const storage of storages)
        cpSync(source, join(directory, storage, relativePath), { recursive: true });
      await database.run(sql`
        WITH repository AS (
          INSERT INTO repositories (virtual_storage, relative_path, replica_path, generation, "primary")
          VALUES ('default', ${relativePath}, ${relativePath}, 0, ${storages[primary - 1]}) RETURNING *
        )
        INSERT INTO storage_repositories (virtual_storage, relative_path, storage, repository_id, generation)
        SELECT virtual_storage, relative_path, storage, repository_id, 0
        FROM repository, unnest(${storages}::text[]) AS each(storage)`);
    },
    async replicas(relativePath) {
      const rows = await database.rows(sql<{ storage: string; generation: string }>`
        SELECT storage, generation FROM storage_repositories WHERE relative_path = ${relativePath}`);
      const generations = new Map(rows.map(({ storage, generation }) => [storage, Number(generation)]));
      return (await directories(relativePath)).map((path, index) => ({
        storage: storages[index] ?? '',
        generation: generations.get(storages[index] ?? ''),
        references: existsSync(path) ? referencesOf(path) : 'no repository',
      }));
    },
    stopNode: (node) => stop(running[node - 1]),
    startNode: (node) => startNode(node - 1),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function replicaPath(database: Database, relativePath: string): Promise<string> {
  const [row] = await database.rows(sql<{ replica_path: string }>`
    SELECT replica_path FROM repositories WHERE relative_path = ${relativePath}`);
  return row?.replica_path ?? relativePath;
}

/** Returns in what the replicas differ. */
export function differences(replicas: readonly Replica[]): string[] {
  const [first] = replicas;
  const isEqual = replicas.every(({ references }) => references === first?.references);
  const generations = replicas.map(({ generation }) => generation);
  return [
    ...(isEqual ? [] : [`references ${JSON.stringify(replicas)}`]),
    ...(generations.every((each) => each === generations[0])
      ? []
      : [`generations ${generations.join(', ')}`]),
  ];
}
