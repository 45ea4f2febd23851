import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type BenchCluster, type ClusterOptions, startCluster } from './cluster-processes.ts';
import { copyRepository, type RepositoryName, type StoredRepository } from './repositories.ts';
import { git } from './run-program.ts';
import {
  type ServerOptions,
  type ServerProcess,
  startBareProxy,
  startGateway,
  startServer,
} from './server-process.ts';

export interface WorkshopOptions {
  /** Fewer rounds and smaller repositories: for a rough result, not for decisions. */
  readonly quick: boolean;
}

/**
 * The environment of a bench: a directory, repositories, servers. Disposing stops the servers and
 * removes the directory.
 */
export class Workshop implements AsyncDisposable {
  readonly quick: boolean;
  /** A directory on the file system of the cached repositories, so that copies are cheap. */
  readonly directory: string;
  /** The storage `default` of every server of this workshop. */
  readonly storage: string;
  readonly #servers: ServerProcess[] = [];
  readonly #clusters = new AsyncDisposableStack();

  constructor({ quick }: WorkshopOptions) {
    this.quick = quick;
    const cache = join(import.meta.dirname, '../../.cache/bench');
    mkdirSync(cache, { recursive: true });
    this.directory = mkdtempSync(join(cache, 'work-'));
    this.storage = join(this.directory, 'repositories');
    mkdirSync(this.storage);
  }

  /** Puts a repository into the storage. */
  async repository(name: RepositoryName, as = `${name}.git`): Promise<StoredRepository> {
    const path = join(this.storage, as);
    await copyRepository(name, path);
    return { path, wire: { storageName: 'default', relativePath: as, glRepository: as } };
  }

  /**
   * Puts a copy of any repository into the storage, with a commit-graph as housekeeping maintains
   * it. Files are shared where the file system supports it.
   */
  async copyOf(source: string): Promise<StoredRepository> {
    const as = 'given.git';
    const gitDirectory = await git(source, ['rev-parse', '--absolute-git-dir']);
    await git(this.storage, ['clone', '--quiet', '--mirror', gitDirectory, as]);
    await git(join(this.storage, as), ['commit-graph', 'write', '--reachable']);
    return {
      path: join(this.storage, as),
      wire: { storageName: 'default', relativePath: as, glRepository: as },
    };
  }

  /**
   * Starts `gitaly serve` on a Unix socket.
   *
   * @param settings additional tables of its configuration.
   * @param more variables added to those of this process, and whether it runs from the sources.
   */
  async server(settings = '', more: Pick<ServerOptions, 'env' | 'fromSource'> = {}): Promise<ServerProcess> {
    return this.#keep(await startServer(this.directory, this.storage, { settings, ...more }));
  }

  /**
   * Starts `gitaly-ts up`: server and HTTP gateway in one process on the same storage.
   *
   * @param options.bundles it makes and serves bundles for clones.
   */
  async gateway(options: { bundles?: boolean } = {}): Promise<ServerProcess & { readonly url: string }> {
    return this.#keep(await startGateway(this.directory, options));
  }

  /** Starts the same with an SSH gateway. */
  async sshGateway(): Promise<ServerProcess & { readonly url: string; readonly sshUrl: string }> {
    return this.#keep(await startGateway(this.directory, { ssh: true }));
  }

  /** Starts a proxy that only passes calls on to a server. */
  async bareProxy(server: ServerProcess): Promise<ServerProcess> {
    return this.#keep(await startBareProxy(server));
  }

  /** Starts a Praefect with a PostgreSQL and Gitalys whose storages are empty. */
  async cluster(
    count: number,
    options: Pick<ClusterOptions, 'settings' | 'peer'> = {},
  ): Promise<BenchCluster> {
    const directory = mkdtempSync(join(this.directory, `cluster-${count}-`));
    return await startCluster(directory, { ...options, count, resources: this.#clusters });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#clusters.disposeAsync();
    await Promise.all(this.#servers.map((server) => server.stop()));
    rmSync(this.directory, { recursive: true, force: true });
  }

  #keep<S extends ServerProcess>(server: S): S {
    this.#servers.push(server);
    return server;
  }
}
