import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Connection } from '#client/index';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { FLUSH, packet, packets } from '#testkit/repositories/push';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { until } from '#testkit/until';
import { GetArchiveRequest_Format } from '#wire/gen/repository_pb';
import { fill, mountSmall, refusal, unmount } from './small-disk.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'r.git' };
/** More than what is on its way to a client that does not read. */
const FILE_BYTES = 9 * 1024 ** 2;
const REFERENCES = 60_000;
const DISK_BYTES = 40 * 1024 ** 2;
const CONFIG = `[pack_objects_cache]
enabled = true
min_occurrences = 0
[archive_cache]
enabled = true
`;
const CACHES = ['PackObjectsCache', 'ArchiveCache', 'InfoRefsCache'];

type Answer = AsyncIterable<{ readonly data: Uint8Array }>;

interface Kind {
  read(connection: Connection, oid: string): Answer;
  /** Fails if the bytes are not the whole answer. */
  check(answer: Buffer, path: string): Promise<void>;
}

const KINDS: Readonly<Record<string, Kind>> = {
  'a pack': {
    read(connection, oid) {
      const head = `${packet('command=fetch')}${packet('object-format=sha1')}0001`;
      const lines = ['no-progress', 'ofs-delta', `want ${oid}`, 'done'].map((line) => packet(`${line}\n`));
      const data = Buffer.from(`${head}${lines.join('')}${FLUSH}`);
      return connection.smartHttp.postUploadPack([
        { repository: REPOSITORY, gitProtocol: 'version=2' },
        { data },
      ]);
    },
    async check(answer) {
      const bands = packets(answer).filter(([band]) => band === 1);
      const directory = makeScratchDirectory('received');
      try {
        await runGit(['init', '-q', '--bare', directory]);
        const input = Buffer.concat(bands.map((each) => each.subarray(1)));
        const { code, stderr } = await run('git', ['-C', directory, 'index-pack', '--stdin', '--strict'], {
          input,
        });
        assert.equal(code, 0, stderr);
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
    },
  },
  'an archive': {
    read: (connection) =>
      connection.repository.getArchive({
        repository: REPOSITORY,
        commitId: 'main',
        format: GetArchiveRequest_Format.TAR,
        prefix: 'p',
      }),
    async check(answer, path) {
      const file = join(path, '../expected.tar');
      const options = ['--format=tar', '--prefix=p/', '--output', file];
      await runGit(['-C', path, 'archive', ...options, 'main']);
      const expected = readFileSync(file);
      rmSync(file);
      assert.ok(answer.equals(expected), `${answer.length} bytes, ${expected.length} of git's`);
    },
  },
  'an advertisement': {
    read: (connection) => connection.smartHttp.infoRefsUploadPack({ repository: REPOSITORY }),
    async check(answer) {
      assert.ok(answer.toString('latin1').endsWith(FLUSH));
      assert.equal(answer.toString('latin1').match(/ refs\/heads\/many\//g)?.length, REFERENCES);
    },
  },
};

/** Makes the repository in a storage. @returns its path and the id of `main`. */
function makeRepository(storage: string): { path: string; oid: string } {
  const path = join(storage, REPOSITORY.relativePath);
  initRepository(path);
  gitOutput(path, ['config', 'core.compression', '0']); // random bytes stay as long as they are
  const oid = commitFiles(path, { file: randomBytes(FILE_BYTES) });
  const lines = Array.from({ length: REFERENCES }, (_, index) => `${oid} refs/heads/many/${index}`).sort();
  writeFileSync(join(path, 'packed-refs'), `${lines.join('\n')}\n`);
  return { path, oid };
}

function cacheFiles(storage: string): string[] {
  return CACHES.map((name) => join(storage, '+gitaly', name))
    .filter((directory) => existsSync(directory))
    .flatMap((directory) => readdirSync(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function whole(answer: Answer): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const { data } of answer) chunks.push(data);
  return Buffer.concat(chunks);
}

test('a server that is killed while it streams: no cut answer, no file of it is used', async () => {
  const directory = makeScratchDirectory('caches');
  const storage = join(directory, 'default');
  mkdirSync(storage, { recursive: true });
  const { path, oid } = makeRepository(storage);
  try {
    const left: string[] = [];
    {
      await using gitaly = await startGitalyProcess({ directory, config: CONFIG });
      const connection = await gitaly.connect();
      const answers = Object.values(KINDS).map(({ read }) => read(connection, oid)[Symbol.asyncIterator]());
      for (const answer of answers) assert.equal((await answer.next()).done, false);
      await until(() => cacheFiles(storage).length === CACHES.length, 'every kind has a file');
      left.push(...cacheFiles(storage));

      gitaly.kill('SIGKILL');
      await gitaly.exited;

      for (const answer of answers) {
        const rest = async (): Promise<void> => {
          while ((await answer.next()).done !== true);
        };
        await assert.rejects(rest(), { code: 'UNAVAILABLE' });
      }
    }
    await using gitaly = await startGitalyProcess({ directory, config: CONFIG });
    const connection = await gitaly.connect();
    await until(() => !left.some((file) => existsSync(file)), 'the files of the dead are removed');
    for (const { read, check } of Object.values(KINDS)) await check(await whole(read(connection, oid)), path);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('on a full disk cached answers are whole', { skip: refusal() }, async (context: TestContext) => {
  const directory = makeScratchDirectory('caches');
  const storage = join(directory, 'default');
  mountSmall(storage, DISK_BYTES);
  context.after(() => {
    unmount(storage);
    rmSync(directory, { recursive: true, force: true });
  });
  const { path, oid } = makeRepository(storage);
  await using gitaly = await startGitalyProcess({ directory, config: CONFIG });
  const connection = await gitaly.connect();

  // Without any space, and with space for a part of a file.
  for (const freeBytes of [0, 1024 ** 2]) {
    rmSync(join(storage, 'filler'), { force: true });
    fill(storage, freeBytes);
    const readers = Object.values(KINDS).flatMap(({ read, check }) =>
      [1, 2].map(async () => ({ check, answer: await whole(read(connection, oid)) })),
    );
    const answers = await Promise.all(readers);
    rmSync(join(storage, 'filler'));
    for (const { check, answer } of answers) await check(answer, path);
  }
  await until(() => cacheFiles(storage).length === 0, 'what could not be written whole is not kept');

  for (const { read } of Object.values(KINDS)) await whole(read(connection, oid));
  await until(() => cacheFiles(storage).length > 0, 'with space answers are kept again');
});
