import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { syncPath } from '#base/files/sync-path';
import { type Connection, dial } from '#client/index';
import { syncTree } from '#storage/lifecycle/sync-tree';
import { addCommit } from '#testkit/repositories/init-repository';
import { CreateRepositoryFromBundleRequestSchema, RepositoryService } from '#wire/gen/repository_pb';
import { BareClient } from './lib/bare-client.ts';
import { type Bench, type Measurement, median, takeTurns, timed } from './lib/bench.ts';
import type { StoredRepository } from './lib/repositories.ts';
import { git } from './lib/run-program.ts';
import type { Workshop } from './lib/workshop.ts';

/** Size of a message that carries a bundle. */
const MESSAGE_BYTES = 128 * 1024;

/** Measures copies of a large repository, compared with git's own. */
export const bench: Bench = {
  name: 'copies',
  question:
    'CreateRepositoryFromBundle, CreateRepositoryFromURL, CreateFork and ReplicateRepository of 250 MB, ' +
    'against git clone --bare',
  async *run(workshop) {
    const source = await workshop.repository(workshop.quick ? '20mb' : '250mb');
    const bundle = join(workshop.directory, 'bundle');
    await git(source.path, ['bundle', 'create', '--quiet', bundle, '--all']);
    const { socket } = await workshop.server();
    await using connection = await dial(`unix:${socket}`);
    using bare = new BareClient(socket);
    const call = new Copies(workshop, { connection, bare, socket });
    const rounds = workshop.quick ? 1 : 5;
    const clone = (...args: string[]) =>
      call.measured('plain.git', (path) =>
        git(workshop.directory, ['clone', '--quiet', '--bare', ...args, path]),
      );

    const requests = requestsOf(await readFile(bundle), targetAt('copy.git'));
    const fromBundle = await takeTurns(rounds, {
      rpc: () => call.fromBundle(requests),
      plain: () => clone(bundle),
    });
    yield line('CreateRepositoryFromBundle', fromBundle, 'git clone --bare of the bundle', 1.15);
    const fromUrl = await takeTurns(rounds, {
      rpc: () => call.fromUrl(source.path),
      plain: () => clone(source.path),
      durable: () =>
        call.measured('durable.git', async (path) => {
          await git(workshop.directory, ['clone', '--quiet', '--bare', source.path, path]);
          await syncTree(path);
          await syncPath(workshop.storage);
        }),
    });
    yield line('CreateRepositoryFromURL, a path', fromUrl, 'git clone --bare', 1.15);
    // git links the files, which takes it less time than to flush them.
    const durable = { rpc: fromUrl.rpc, plain: fromUrl.durable };
    yield line('the same, equally durable', durable, 'git clone --bare, flushed', 1.15);
    const copies = await takeTurns(rounds, {
      fork: () => call.fork(source),
      replica: () => call.replicate(source),
      plain: () => clone('--no-local', source.path),
    });
    const reference = 'git clone --bare --no-local';
    yield line('CreateFork', { rpc: copies.fork, plain: copies.plain }, reference, 1.3);
    yield line('ReplicateRepository, new', { rpc: copies.replica, plain: copies.plain }, reference, 1.3);
    yield* oneCommit(workshop, source, call);
  },
};

async function* oneCommit(
  workshop: Workshop,
  source: StoredRepository,
  call: Copies,
): AsyncGenerator<Measurement> {
  const plain = join(workshop.directory, 'mirror.git');
  await git(workshop.directory, ['clone', '--quiet', '--mirror', source.path, plain]);
  await call.replicate(source, { keep: true });
  const samples = await takeTurns(workshop.quick ? 5 : 20, {
    commit: async () => addCommit(source.path, 2),
    rpc: () => call.replicate(source, { keep: true }),
    plain: () => timed(() => git(plain, ['fetch', '--quiet', '--prune', 'origin'])),
  });
  yield line('ReplicateRepository, one new commit', samples, 'git fetch --prune', 1.5);
}

function line(
  name: string,
  { rpc, plain }: { readonly rpc: readonly number[]; readonly plain: readonly number[] },
  reference: string,
  atMost: number,
): Measurement {
  return {
    name,
    value: median(rpc),
    unit: 'ms',
    reference: { name: reference, value: median(plain) },
    goal: { of: 'ratio', atMost },
  };
}

/** The calls, each into a new repository that is removed afterwards. */
class Copies {
  readonly #workshop: Workshop;
  readonly #connection: Connection;
  readonly #bare: BareClient;
  readonly #metadata: Record<string, string>;

  constructor(
    workshop: Workshop,
    {
      connection,
      bare,
      socket,
    }: { readonly connection: Connection; readonly bare: BareClient; readonly socket: string },
  ) {
    this.#workshop = workshop;
    this.#connection = connection;
    this.#bare = bare;
    const server = { address: `unix:${socket}`, token: '' };
    const servers = JSON.stringify({ default: server, second: server });
    this.#metadata = { 'gitaly-servers': Buffer.from(servers).toString('base64') };
  }

  /** Returns the milliseconds of an action that makes a repository at a path. */
  async measured(name: string, action: (path: string) => Promise<unknown>): Promise<number> {
    const path = join(this.#workshop.storage, name);
    const time = await timed(() => action(path));
    rmSync(path, { recursive: true, force: true });
    return time;
  }

  fromBundle(requests: readonly Uint8Array[]): Promise<number> {
    const { parent, name } = RepositoryService.method.createRepositoryFromBundle;
    return this.measured('copy.git', () => this.#bare.call(`/${parent.typeName}/${name}`, requests));
  }

  fromUrl(url: string): Promise<number> {
    return this.measured('copy.git', (path) =>
      this.#connection.repository.createRepositoryFromURL({ repository: targetAt(path), url }),
    );
  }

  fork({ wire }: StoredRepository): Promise<number> {
    return this.measured('copy.git', (path) =>
      this.#connection.repository.createFork(
        { repository: targetAt(path), sourceRepository: wire },
        { metadata: this.#metadata },
      ),
    );
  }

  async replicate({ wire }: StoredRepository, { keep = false } = {}): Promise<number> {
    const repository = { storageName: 'second', relativePath: keep ? 'kept.git' : 'replica.git' };
    const time = await timed(() =>
      this.#connection.repository.replicateRepository(
        { repository, source: wire },
        { metadata: this.#metadata },
      ),
    );
    if (!keep) await this.#connection.repository.removeRepository({ repository });
    return time;
  }
}

function targetAt(path: string) {
  return { storageName: 'default', relativePath: path.slice(path.lastIndexOf('/') + 1) };
}

/** Returns the messages that carry a bundle. They are made before the clock starts. */
function requestsOf(bundle: Buffer, repository: ReturnType<typeof targetAt>): Uint8Array[] {
  const encode = (message: MessageInitShape<typeof CreateRepositoryFromBundleRequestSchema>) =>
    toBinary(
      CreateRepositoryFromBundleRequestSchema,
      create(CreateRepositoryFromBundleRequestSchema, message),
    );
  const requests = [encode({ repository })];
  for (let at = 0; at < bundle.length; at += MESSAGE_BYTES)
    requests.push(encode({ data: bundle.subarray(at, at + MESSAGE_BYTES) }));
  return requests;
}
