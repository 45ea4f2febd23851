import { join } from 'node:path';
import { END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';
import { type Connection, commitFiles, gitalyServers } from '#client/index';
import { outputSync } from '#testkit/run-program-sync';
import { USER } from '#testkit/user';

type Random = () => number;

/** Paths of the repositories that come and go. */
export const PATHS = Array.from({ length: 6 }, (_, number) => `g/${number}.git`);
const BRANCHES = 5;
const LARGE_BYTES = 400_000;

export interface RandomChangesOptions {
  readonly connection: Connection;
  readonly address: string;
  readonly random: Random;
  readonly objectFormat: 'sha1' | 'sha256';
}

/** Makes random changes of a storage, as clients do. Those that are refused change nothing. */
export class RandomChanges {
  readonly #options: RandomChangesOptions;
  /** Calls that succeeded, by the name of the change. */
  readonly made = new Map<string, number>();
  #number = 0;

  constructor(options: RandomChangesOptions) {
    this.#options = options;
  }

  /** Makes one change. */
  async next(): Promise<void> {
    const changes = Object.entries(this.#changes());
    const [name, change] = changes[this.#below(changes.length)] ?? [];
    if (name === undefined || change === undefined) return;
    try {
      await change();
      this.made.set(name, (this.made.get(name) ?? 0) + 1);
    } catch {
      // There is no such repository or branch, or there is one already.
    }
  }

  #changes(): Record<string, () => Promise<unknown>> {
    const { connection, objectFormat } = this.#options;
    const { ref, repository, objectPool } = connection;
    const servers = { metadata: gitalyServers({ default: { address: this.#options.address, token: '' } }) };
    const create = () =>
      repository.createRepository({
        repository: this.#target(),
        objectFormat: objectFormat === 'sha256' ? 2 : 1,
      });
    const write = (name: string, revision: string) =>
      repository.writeRef({
        repository: this.#target(),
        ref: Buffer.from(name),
        revision: Buffer.from(revision),
      });
    return {
      create,
      createAgain: create,
      commit: () => this.#commit(`content ${this.#number}\n`.repeat(1 + this.#below(50))),
      commitAgain: () => this.#commit(`other ${this.#number}\n`),
      commitLarge: () => this.#commit(this.#noise()),
      force: () => write(this.#branch(), `${this.#branch()}~1`),
      branch: () => write(this.#branch(), this.#branch()),
      tag: () => this.#tag(),
      head: () => write('HEAD', this.#branch()),
      remove: () => repository.removeRepository({ repository: this.#target() }),
      rename: () => repository.renameRepository({ repository: this.#target(), relativePath: this.#path() }),
      deleteReferences: () =>
        ref.deleteRefs({
          repository: this.#target(),
          refs: [this.#branch(), this.#branch()].map((name) => Buffer.from(name)),
        }),
      fork: () =>
        repository.createFork({ repository: this.#target(), sourceRepository: this.#target() }, servers),
      pool: () => this.#pool(),
      link: () =>
        objectPool.linkRepositoryToObjectPool({
          objectPool: { repository: this.#target(this.#poolPath()) },
          repository: this.#target(),
        }),
      unlink: () => objectPool.disconnectGitAlternates({ repository: this.#target() }),
      optimize: () => repository.optimizeRepository({ repository: this.#target() }),
      settings: () => repository.setFullPath({ repository: this.#target(), path: `group/${this.#number++}` }),
      hooks: () => this.#hooks(),
    };
  }

  async #commit(content: string | Buffer): Promise<void> {
    const fields = {
      repository: this.#target(),
      user: USER,
      branchName: Buffer.from(this.#branch().slice('refs/heads/'.length)),
      commitMessage: Buffer.from(`change ${this.#number}`),
    };
    const path = `d${this.#below(3)}/file-${this.#number++}`;
    await commitFiles(this.#options.connection, fields, [{ type: 'create', path, content }]);
  }

  async #tag(): Promise<void> {
    const { connection } = this.#options;
    const tagName = Buffer.from(`t${this.#below(BRANCHES)}`);
    const targetRevision = Buffer.from(this.#branch());
    const fields = { repository: this.#target(), user: USER, tagName, targetRevision };
    await connection.operation.userCreateTag({ ...fields, message: Buffer.from('a tag') });
  }

  async #pool(): Promise<void> {
    const { objectPool } = this.#options.connection;
    await objectPool.createObjectPool({
      objectPool: { repository: this.#target(this.#poolPath()) },
      origin: this.#target(),
    });
  }

  async #hooks(): Promise<void> {
    const { connection } = this.#options;
    const path = `custom_hooks/update.d/hook-${this.#below(3)}`;
    const archive = tarOf(path, `#!/bin/sh\nexit 0 # ${this.#number++}\n`);
    await connection.repository.setCustomHooks([{ repository: this.#target(), data: archive }]);
  }

  #noise(): Buffer {
    const words = new Uint32Array(LARGE_BYTES / 4).map(() => this.#below(2 ** 32));
    return Buffer.from(words.buffer);
  }

  #target(relativePath = this.#path()) {
    return { storageName: 'default', relativePath, glRepository: 'project-1' };
  }

  #path(): string {
    return PATHS[this.#below(PATHS.length)] ?? '';
  }

  #poolPath(): string {
    const hash = `${this.#below(2)}`.repeat(64);
    return `@pools/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}.git`;
  }

  #branch(): string {
    const number = this.#below(BRANCHES);
    return `refs/heads/${number === 0 ? 'main' : `b${number}`}`;
  }

  #below(limit: number): number {
    return Math.floor(this.#options.random() * limit);
  }
}

/** Creates a repository that random changes do not touch: they may remove all others. */
export async function createKept({ repository }: Connection): Promise<void> {
  const target = { storageName: 'default', relativePath: 'kept.git', glRepository: 'project-1' };
  await repository.createRepository({ repository: target });
}

/** Returns a tar archive of one executable file. */
export function tarOf(name: string, content: string): Buffer {
  const bytes = Buffer.from(content);
  const header = tarHeader({
    name: Buffer.from(name),
    type: 'file',
    mode: 0o755,
    size: bytes.length,
    mtime: 0,
  });
  return Buffer.concat([header, bytes, Buffer.alloc(paddingOf(bytes.length)), END_OF_ARCHIVE]);
}

/** Returns the repositories of a storage, by path. */
export function repositoriesIn(storage: string): string[] {
  const found = outputSync('find', [
    storage,
    '-name',
    'HEAD',
    '-path',
    '*.git/HEAD',
    '-not',
    '-path',
    '*+gitaly*',
  ]);
  const heads = found
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  return heads.map((head) => head.slice(join(storage, '/').length, -'/HEAD'.length)).sort();
}
