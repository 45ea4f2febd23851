import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { Connection } from '#client/index';
import { peakResidentBytes, residentBytes } from '#testkit/measure/process-usage';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { extent } from '#testkit/soak';
import { GetArchiveRequest_Format as Format } from '#wire/gen/repository_pb';

const MEBIBYTE = 1024 ** 2;
/** Above `core.bigFileThreshold`: git searches no deltas. */
const FILE_MIB = 64;
const CONTENT_MIB = extent('STREAMED_MIB', { short: 40, long: 1024 });
/** Growth while it passes through; it does not depend on the size of the content. */
const MAX_GROWTH_BYTES = extent('STREAMED_GROWTH_MIB', { short: 24, long: 64 }) * MEBIBYTE;

interface Content {
  readonly repository: { readonly storageName: string; readonly relativePath: string };
  readonly directory: string;
  /** Name for repositories that are made from it. */
  readonly copy: { readonly storageName: string; readonly relativePath: string };
  readonly bundle: string;
  readonly hooks: string;
  readonly snapshotUrl: string;
  readonly wikiMib: number;
}

/** Discards a stream. @returns the number of its bytes. */
async function count(messages: AsyncIterable<{ readonly data: Uint8Array }>): Promise<number> {
  let bytes = 0;
  for await (const { data } of messages) bytes += data.length;
  return bytes;
}

/** Yields a message with a repository, and then the bytes of a file. */
async function* upload(repository: Content['repository'], file: string) {
  yield { repository };
  for await (const data of createReadStream(file, { highWaterMark: 128 * 1024 })) yield { data };
}

async function* page(repository: Content['repository'], mib: number) {
  const text = Buffer.from('text');
  const commitDetails = { name: text, email: text, message: text };
  yield { repository, name: text, format: 'markdown', commitDetails };
  const content = Buffer.alloc(128 * 1024, 'line\n');
  for (let pieces = mib * 8; pieces > 0; pieces--) yield { content };
}

type StreamedCall = (connection: Connection, content: Content) => Promise<unknown>;

const vanityRepository = (content: Content) => ({ ...content.repository, storageName: 'vanity' });

/** Streamed calls, in an order in which each finds what it needs. */
const CALLS: Readonly<Record<string, StreamedCall>> = {
  GetArchive: ({ repository }, { repository: target }) =>
    count(repository.getArchive({ repository: target, commitId: 'main', prefix: 'p', format: Format.TAR })),
  GetSnapshot: ({ repository }, { repository: target }) =>
    count(repository.getSnapshot({ repository: target })),
  CreateBundle: ({ repository }, { repository: target }) =>
    count(repository.createBundle({ repository: target })),
  CreateBundleFromRefList: ({ repository }, { repository: target }) =>
    count(
      repository.createBundleFromRefList([
        { repository: target, patterns: [Buffer.from('refs/heads/main')] },
      ]),
    ),
  CreateRepositoryFromBundle: async ({ repository }, { copy, bundle }) => {
    await repository.createRepositoryFromBundle(upload(copy, bundle));
    await repository.removeRepository({ repository: copy });
  },
  FetchBundle: async ({ repository }, { copy, bundle }) => {
    await repository.createRepository({ repository: copy });
    await repository.fetchBundle(upload(copy, bundle));
    await repository.removeRepository({ repository: copy });
  },
  CreateRepositoryFromSnapshot: async ({ repository }, { copy, snapshotUrl }) => {
    await repository.createRepositoryFromSnapshot({ repository: copy, httpUrl: snapshotUrl });
    await repository.removeRepository({ repository: copy });
  },
  BackupRepository: ({ repository }, content) =>
    repository.backupRepository({
      repository: content.repository,
      vanityRepository: vanityRepository(content),
      backupId: 'one',
    }),
  RestoreRepository: async ({ repository }, content) => {
    const { copy } = content;
    await repository.restoreRepository({
      repository: copy,
      vanityRepository: vanityRepository(content),
      backupId: 'one',
    });
    await repository.removeRepository({ repository: copy });
  },
  SetCustomHooks: ({ repository }, { repository: target, hooks }) =>
    repository.setCustomHooks(upload(target, hooks)),
  GetCustomHooks: ({ repository }, { repository: target }) =>
    count(repository.getCustomHooks({ repository: target })),
  WikiWritePage: async ({ repository, wiki }, { copy, wikiMib }) => {
    await repository.createRepository({ repository: copy });
    await wiki.wikiWritePage(page(copy, wikiMib));
  },
  WikiFindPage: async ({ repository, wiki }, { copy }) => {
    for await (const _ of wiki.wikiFindPage({ repository: copy, title: Buffer.from('text') }));
    await repository.removeRepository({ repository: copy });
  },
};

/** Makes a repository with files that do not compress. */
async function makeRepository(directory: string, mib: number): Promise<void> {
  initRepository(directory);
  const settings = { 'core.compression': '0', 'pack.compression': '0', 'core.bigFileThreshold': '50m' };
  for (const setting of Object.entries(settings)) gitOutput(directory, ['config', ...setting]);
  const git = spawn('git', ['-C', directory, 'fast-import', '--quiet', '--depth=0'], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const write = async (data: string | Buffer): Promise<void> => {
    if (!git.stdin.write(data)) await once(git.stdin, 'drain');
  };
  await write('commit refs/heads/main\ncommitter C <c@x> 1600000000 +0000\ndata 1\nx\n');
  for (let number = 0; number * FILE_MIB < mib; number++) {
    const content = randomFillSync(Buffer.alloc(Math.min(FILE_MIB, mib) * MEBIBYTE));
    await write(`M 100644 inline file-${number}\ndata ${content.length}\n`);
    await write(content);
    await write('\n');
  }
  git.stdin.end();
  const [code] = await once(git, 'close');
  assert.equal(code, 0);
}

suite(`${CONTENT_MIB} MiB pass through`, () => {
  const scratch = makeScratchDirectory('streamed');
  let gitaly: GitalyProcess;
  let connection: Connection;
  let large: Content;
  const stack = new AsyncDisposableStack();
  before(async () => {
    gitaly = stack.use(
      await startGitalyProcess({ config: `[backup]\ngo_cloud_url = "${join(scratch, 'backups')}"` }),
    );
    connection = stack.use(await gitaly.connect());
    const web = stack.use(await startGitHttpServer(scratch));
    const snapshots = new Map<string, string>();
    web.reset({}, Object.fromEntries(['small', 'large'].map((name) => [`/${name}.tar`, serve(name)])));
    function serve(name: string) {
      return (_: unknown, response: NodeJS.WritableStream) =>
        void createReadStream(snapshots.get(name) ?? '').pipe(response);
    }
    const make = async (name: string, mib: number): Promise<Content> => {
      const relativePath = `${name}.git`;
      const repository = { storageName: 'default', relativePath };
      const directory = join(gitaly.directory, 'default', relativePath);
      await makeRepository(directory, mib);
      const [bundle, hooks, snapshot] = ['bundle', 'hooks', 'snapshot'].map((kind) =>
        join(scratch, `${name}.${kind}`),
      );
      assert.ok(bundle && hooks && snapshot);
      await runGit(['-C', directory, 'bundle', 'create', '--quiet', bundle, '--all']);
      const tree = join(scratch, name);
      gitOutput(scratch, ['init', '-q', `${tree}/custom_hooks`]);
      gitOutput(`${tree}/custom_hooks`, [
        '--git-dir',
        directory,
        '--work-tree',
        '.',
        'checkout',
        '-q',
        '-f',
        'main',
      ]);
      rmSync(`${tree}/custom_hooks/.git`, { recursive: true });
      await tar(tree, hooks, ['custom_hooks']);
      await tar(directory, snapshot, ['HEAD', 'config', 'refs', 'objects']);
      snapshots.set(name, snapshot);
      const copy = { ...repository, relativePath: `${name}-copy.git` };
      return {
        repository,
        directory,
        copy,
        bundle,
        hooks,
        snapshotUrl: `${web.url}/${name}.tar`,
        wikiMib: mib,
      };
    };
    const small = await make('small', 1);
    for (const call of Object.values(CALLS)) await call(connection, small);
    large = await make('large', CONTENT_MIB);
  });
  after(async () => {
    await stack.disposeAsync();
    rmSync(scratch, { recursive: true, force: true });
  });

  for (const [name, call] of Object.entries(CALLS))
    test(`${name} holds little of it in memory`, async (context) => {
      const { pid } = gitaly;
      const before = residentBytes(pid);
      writeFileSync(`/proc/${pid}/clear_refs`, '5'); // the peak begins here

      await call(connection, large);

      const growth = peakResidentBytes(pid) - before;
      context.diagnostic(`${Math.round(growth / MEBIBYTE)} MiB more than ${Math.round(before / MEBIBYTE)}`);
      assert.ok(growth < MAX_GROWTH_BYTES, `${Math.round(growth / MEBIBYTE)} MiB`);
    });
});

async function tar(directory: string, archive: string, names: readonly string[]): Promise<void> {
  const child = spawn('tar', ['-C', directory, '-cf', archive, ...names], { stdio: 'inherit' });
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
}
