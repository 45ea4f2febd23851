import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startInternalApi } from '#testkit/servers/internal-api';
import { type StartGitalyOptions, startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { GetArchiveRequest_Format as Format } from '#wire/gen/repository_pb';

const repository = { storageName: 'default', relativePath: 'x.git' };
const bytes = (text: string) => Buffer.from(text);

interface StartOptions extends StartGitalyOptions {
  readonly objectFormat?: 'sha1' | 'sha256';
}

interface ArchiveOptions {
  readonly format?: Format;
  readonly prefix?: string;
  readonly path?: Uint8Array;
  readonly exclude?: Uint8Array[];
  readonly elidePath?: boolean;
  readonly includeLfsBlobs?: boolean;
}

async function start({ objectFormat = 'sha1', ...options }: StartOptions = {}) {
  const gitaly = await startGitaly(options);
  const directory = initServed(gitaly, repository.relativePath, { objectFormat });
  const { repository: calls } = gitaly.connection;
  const archive = async (commitId: string, wanted: ArchiveOptions = {}): Promise<Buffer> => {
    const request = { repository: { ...repository, glRepository: 'project-1' }, commitId, ...wanted };
    const messages = await Array.fromAsync(calls.getArchive(request));
    for (const { data } of messages) assert.ok(data.length > 0 && data.length <= 128 * 1024);
    return Buffer.concat(messages.map(({ data }) => data));
  };
  return { gitaly, directory, calls, archive, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}

/** Returns the paths and contents of an archive, as tar unpacks them. */
function unpack(directory: string, tar: Buffer): Record<string, string> {
  const target = `${directory}-unpacked`;
  mkdirSync(target);
  execFileSync('tar', ['-xf', '-', '-C', target], { input: tar });
  const files = readdirSync(target, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  const contents = files.map((file): [string, string] => {
    const path = join(file.parentPath, file.name);
    return [path.slice(target.length + 1), readFileSync(path, 'utf8')];
  });
  rmSync(target, { recursive: true });
  return Object.fromEntries(contents.sort());
}

const gitArchive = (directory: string, args: readonly string[]): Buffer =>
  execFileSync('git', ['-C', directory, 'archive', ...args], { maxBuffer: 1 << 28 });

for (const objectFormat of ['sha1', 'sha256'] as const) {
  describe(objectFormat, () => {
    test('each format has the bytes that git and the compressor write', async () => {
      await using fixture = await start({ objectFormat });
      const { directory, archive } = fixture;
      const script = { mode: '100755', content: '#!/bin/sh\n' } as const;
      commitFiles(directory, {
        a: 'a'.repeat(300_000),
        'd/b.sh': script,
        l: { mode: '120000', content: 'a' },
      });
      const tar = gitArchive(directory, ['--format=tar', '--prefix=p/', 'main']);
      const compressed = (program: string, args: string[]) => execFileSync(program, args, { input: tar });

      const of = (format: Format) => archive('main', { format, prefix: 'p' });
      assert.deepEqual(await of(Format.TAR), tar);
      assert.deepEqual(await of(Format.TAR_GZ), compressed('gzip', ['-cn']));
      assert.deepEqual(await of(Format.TAR_BZ2), compressed('bzip2', ['-c']));
      assert.deepEqual(await of(Format.ZIP), gitArchive(directory, ['--format=zip', '--prefix=p/', 'main']));
    });

    test('paths are left out, and taken alone', async () => {
      await using fixture = await start({ objectFormat });
      const { directory, archive } = fixture;
      commitFiles(directory, {
        '*': 'star',
        ':(top)x': 'magic',
        'd/e/f': 'f',
        'd/g': 'g',
        dx: 'x',
        'new\nline': 'n',
        '.gitattributes': 'dx export-ignore\n',
      });
      const names = async (options: ArchiveOptions) =>
        Object.keys(
          unpack(directory, await archive('main', { format: Format.TAR, prefix: 'p', ...options })),
        );

      assert.deepEqual(await names({}), [
        'p/*',
        'p/.gitattributes',
        'p/:(top)x',
        'p/d/e/f',
        'p/d/g',
        'p/new\nline',
      ]);
      assert.deepEqual(await names({ path: bytes('*') }), ['p/*']);
      assert.deepEqual(await names({ path: bytes(':(top)x') }), ['p/:(top)x']);
      assert.deepEqual(await names({ path: bytes('/d/./e//') }), ['p/d/e/f']);
      const exclude = [bytes('d/e'), bytes('*'), bytes('.gitattributes')];
      assert.deepEqual(await names({ exclude }), ['p/:(top)x', 'p/d/g', 'p/new\nline']);
      assert.deepEqual(await names({ path: bytes('d'), exclude: [bytes('d/e')] }), ['p/d/g']);
      assert.deepEqual(await names({ path: bytes('d'), elidePath: true }), ['p/e/f', 'p/g']);
      const elided = { path: bytes('d'), elidePath: true, exclude: [bytes('d/g')] };
      assert.deepEqual(await names(elided), ['p/e/f']);
    });
  });
}

test('requests that name nothing are refused', async () => {
  await using fixture = await start();
  const { directory, archive } = fixture;
  commitFiles(directory, { a: 'a', 'd/b': 'b' });
  commitFiles(directory, {}, { ref: 'refs/heads/empty' });
  const refused = (options: ArchiveOptions, code: string, message: string, commitId = 'main') =>
    assert.rejects(archive(commitId, options), { code, message });

  await refused({ path: bytes('none') }, 'FAILED_PRECONDITION', "path doesn't exist");
  await refused({ path: bytes('a/b') }, 'FAILED_PRECONDITION', "path doesn't exist");
  await refused({}, 'FAILED_PRECONDITION', "path doesn't exist", 'empty');
  const exclude = [bytes('a'), bytes('none')];
  await refused({ exclude }, 'FAILED_PRECONDITION', "exclude[1] doesn't exist");
  const outside = { path: bytes('d'), exclude: [bytes('a')], elidePath: true };
  await refused(outside, 'INVALID_ARGUMENT', 'invalid exclude: "a" is not a subdirectory of "d"');
  await refused({ path: bytes('d/../../x') }, 'INVALID_ARGUMENT', 'relative path escapes root directory');
  await refused({ exclude: [bytes('..')] }, 'INVALID_ARGUMENT', 'relative path escapes root directory');
  // No format has this number.
  const unknown = 9 as Format;
  await refused({ format: unknown }, 'INVALID_ARGUMENT', 'invalid format');
  await refused({}, 'INTERNAL', 'object not found', 'none');
  await refused({}, 'INVALID_ARGUMENT', "invalid commitId: revision can't start with '-'", '--output=x');
});

test('LFS pointers are replaced by the objects of GitLab, of any size', async () => {
  await using api = await startInternalApi();
  await using fixture = await start({ internalApi: api });
  const { directory, archive } = fixture;
  const large = 'large content\n'.repeat(200_000);
  const objects = [large, 'small', ''];
  const names = ['a.bin', 'b.bin', 'c.bin'];
  const oidOf = (content: string) => createHash('sha256').update(content).digest('hex');
  const pointers = objects.map(
    (content) =>
      `version https://git-lfs.github.com/spec/v1\noid sha256:${oidOf(content)}\nsize ${content.length}\n`,
  );
  const absent = `version https://git-lfs.github.com/spec/v1\noid sha256:${'1'.repeat(64)}\nsize 5\n`;
  commitFiles(directory, {
    '.gitattributes': '*.bin filter=lfs\n',
    ...Object.fromEntries(names.map((name, index) => [name, pointers[index] ?? ''])),
    'absent.bin': absent,
    'text.bin': 'no pointer',
    'long.bin': 'no pointer'.repeat(30_000),
    'other.txt': pointers[1] ?? '',
  });
  api.reset({
    '/lfs': ({ path }: { path: string }) => {
      const query = new URLSearchParams(path.split('?')[1]);
      assert.equal(query.get('gl_repository'), 'project-1');
      const found = objects.find((content) => oidOf(content) === query.get('oid'));
      return found === undefined ? [404, {}] : [200, found, 'application/octet-stream'];
    },
  });

  const tar = await archive('main', { format: Format.TAR, prefix: 'p', includeLfsBlobs: true });

  const files = unpack(directory, tar);
  assert.equal(files['p/a.bin'], large);
  assert.equal(files['p/b.bin'], 'small');
  assert.equal(files['p/c.bin'], '');
  assert.equal(files['p/absent.bin'], absent);
  assert.equal(files['p/text.bin'], 'no pointer');
  assert.equal(files['p/long.bin'], 'no pointer'.repeat(30_000));
  assert.equal(files['p/other.txt'], pointers[1]);
  assert.equal(api.calls.length, 4);
  const without = unpack(directory, await archive('main', { format: Format.TAR, prefix: 'p' }));
  assert.equal(without['p/a.bin'], pointers[0]);
});

test('a GitLab that cannot be reached leaves LFS pointers as they are', async () => {
  await using api = await startInternalApi();
  await using fixture = await start({ internalApi: { ...api, url: 'http://127.0.0.1:9' } });
  const { directory, archive } = fixture;
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'1'.repeat(64)}\nsize 5\n`;
  commitFiles(directory, { '.gitattributes': '*.bin filter=lfs\n', 'a.bin': pointer });

  const tar = await archive('main', { format: Format.TAR, prefix: 'p', includeLfsBlobs: true });

  assert.equal(unpack(directory, tar)['p/a.bin'], pointer);
});

test('an archive is cached with everything that it is made from', async () => {
  await using fixture = await start({ config: { archive_cache: { enabled: true, max_age: '24h' } } });
  const { gitaly, directory, archive } = fixture;
  commitFiles(directory, { a: 'a'.repeat(200_000), 'd/b': 'b', 'd/c': 'c' });
  const results = () => gitaly.log.flatMap((line) => line.archive_cache ?? []);
  const logged = (count: number) => until(() => results().length === count, 'the calls are logged');
  const wanted: ArchiveOptions[] = [
    { format: Format.TAR },
    { format: Format.ZIP },
    { format: Format.TAR, prefix: 'p' },
    { format: Format.TAR, path: bytes('d') },
    { format: Format.TAR, exclude: [bytes('d')] },
    { format: Format.TAR, path: bytes('d'), exclude: [bytes('d/b')], elidePath: true },
  ];

  const first: Buffer[] = [];
  for (const options of wanted) first.push(await archive('main', options));
  assert.equal(new Set(first.map((bytes) => bytes.toString('latin1'))).size, wanted.length);
  await logged(wanted.length);
  assert.deepEqual(
    results(),
    wanted.map(() => 'miss'),
  );
  for (const [index, options] of wanted.entries())
    assert.deepEqual(await archive('main', options), first[index]);
  await logged(2 * wanted.length);
  assert.deepEqual(
    results().slice(wanted.length),
    wanted.map(() => 'hit'),
  );

  commitFiles(directory, { a: 'changed' });
  assert.notDeepEqual(await archive('main', { format: Format.TAR }), first[0]);
  assert.deepEqual(await archive('main~1', { format: Format.TAR }), first[0]);
  await logged(2 * wanted.length + 2);
  assert.deepEqual(results().slice(-2), ['miss', 'hit']);
});

test('a kept archive is not that of another repository at the path', async () => {
  await using fixture = await start({ config: { archive_cache: { enabled: true, max_age: '24h' } } });
  const { directory, archive } = fixture;
  const tar: ArchiveOptions = { format: Format.TAR, prefix: 'p' };
  commitFiles(directory, { a: 'a', b: 'b' });
  const first = await archive('main', tar);
  assert.deepEqual(await archive('main', tar), first);

  const tree = gitOutput(directory, ['rev-parse', 'main^{tree}']);
  rmSync(directory, { recursive: true });
  initRepository(directory);
  commitFiles(directory, { a: 'a', b: 'b' });
  assert.equal(gitOutput(directory, ['rev-parse', 'main^{tree}']), tree);
  mkdirSync(join(directory, 'info'), { recursive: true });
  writeFileSync(join(directory, 'info/attributes'), 'b export-ignore\n');

  const second = await archive('main', tar);
  assert.deepEqual(second, gitArchive(directory, ['--format=tar', '--prefix=p/', 'main']));
  assert.notDeepEqual(second, first);
});

for (const config of [{}, { archive_cache: { enabled: true } }]) {
  test(`identical archives at once are written once (${JSON.stringify(config)})`, async (context) => {
    // The calls begin while the archive is being written.
    const scratch = makeScratchDirectory('slow-archive');
    context.after(() => rmSync(scratch, { recursive: true }));
    const git = { bin_path: join(scratch, 'git') };
    const slow = 'case " $* " in *" archive "*) sleep 1 ;; esac\nexec git "$@"';
    writeFileSync(git.bin_path, `#!/bin/sh\n${slow}\n`, { mode: 0o755 });
    await using fixture = await start({ config: { git, ...config } });
    const { gitaly, directory, archive } = fixture;
    commitFiles(directory, { a: randomBytes(6_000_000).toString('latin1') });
    const expected = gitArchive(directory, ['--format=tar', '--prefix=p/', 'main']);
    const wanted: ArchiveOptions = { format: Format.TAR, prefix: 'p' };

    const archives = await Promise.all(Array.from({ length: 6 }, () => archive('main', wanted)));

    for (const bytes of archives) assert.ok(bytes.equals(expected));
    const lines = () =>
      gitaly.log.filter((line) => line['grpc.method'] === 'GetArchive' && line['grpc.code']);
    await until(() => lines().length === 6);
    const hits = lines().filter((line) => line.archive_cache === 'hit').length;
    const commands = lines().filter((line) => line['command.count'] !== undefined);
    assert.deepEqual([hits, commands.length], [5, 1]);
  });
}

test('archives from one cache file stay apart, also for clients that leave', async () => {
  await using fixture = await start({ config: { archive_cache: { enabled: true, min_occurrences: 0 } } });
  const { directory, archive, calls } = fixture;
  const sizes = { x: 3_000_000, y: 5_000_000 };
  const wanted = Object.entries(sizes).map(([branch, size]) => {
    commitFiles(directory, { a: randomBytes(size / 2).toString('hex') });
    gitOutput(directory, ['branch', branch, 'main']);
    return { branch, expected: gitArchive(directory, ['--format=tar', '--prefix=p/', branch]) };
  });
  const tar: ArchiveOptions = { format: Format.TAR, prefix: 'p' };
  const leave = async (commitId: string): Promise<void> => {
    for await (const _ of calls.getArchive({ repository, commitId, ...tar })) break;
  };

  for (let round = 0; round < 2; round++) {
    const reading = [...wanted, ...wanted].map(async ({ branch, expected }) => {
      const [bytes] = await Promise.all([archive(branch, tar), leave(branch)]);
      assert.ok(bytes.equals(expected), branch);
    });
    await Promise.all(reading);
  }
});

test('an archive that fails is not cached', async () => {
  await using fixture = await start({ config: { archive_cache: { enabled: true, max_age: '24h' } } });
  const { gitaly, directory, archive } = fixture;
  commitFiles(directory, { a: 'a' });
  const tree = gitOutput(directory, ['mktree', '--missing'], `100644 blob ${'1'.repeat(40)}\tmissing\n`);
  const broken = gitOutput(directory, ['commit-tree', '-m', 'broken', tree]);

  for (let time = 0; time < 2; time++)
    await assert.rejects(archive(broken, { format: Format.TAR }), { message: /^exit status \d+$/ });

  const results = () => gitaly.log.flatMap((line) => line.archive_cache ?? []);
  await until(() => results().length === 2, 'two calls are logged');
  assert.deepEqual(results(), ['miss', 'miss']);
});

for (const format of [Format.TAR, Format.TAR_GZ]) {
  test(`a client that leaves ends git and the compressor (${Format[format]})`, async () => {
    await using fixture = await start();
    const { gitaly, directory, calls } = fixture;
    const random = createHash('sha1').update('seed').digest('hex');
    commitFiles(
      directory,
      Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, incompressible(random + n)])),
    );

    for await (const { data } of calls.getArchive({ repository, commitId: 'main', format, prefix: 'p' })) {
      assert.ok(data.length > 0);
      break;
    }

    const finished = () => gitaly.log.find((line) => line['grpc.method'] === 'GetArchive');
    await until(() => finished() !== undefined, 'the call goes on');
    assert.equal(finished()?.['grpc.code'], 'Canceled');
  });
}

function incompressible(seed: string): Buffer {
  const blocks = Array.from({ length: 2000 }, (_, n) => createHash('sha512').update(`${seed}${n}`).digest());
  return Buffer.concat([...blocks, ...blocks]);
}
