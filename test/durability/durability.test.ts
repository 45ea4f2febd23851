/**
 * Acknowledged changes survive a power failure: each file is flushed to disk before it gets the
 * name under which it counts. The flushes are those that the kernel sees.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { ObjectWriter } from '#git/objects/write/write-objects';
import { Quarantine } from '#storage/quarantine/quarantine';
import { reasonAgainstTracing } from '#testkit/measure/strace';
import { pushBody, readReport, ZERO_OID } from '#testkit/repositories/push';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import { stateInFile } from '#webhooks/state-file';
import { type FileEvent, traceFlushes, unflushed } from './trace-flushes.ts';

let skip: string | false = false;
before(() => {
  skip = reasonAgainstTracing() ?? false;
});

/** Returns the final names of the moved files, relative to a directory. */
function namesIn(events: readonly FileEvent[], directory: string): string[] {
  return events.flatMap((event) =>
    event.kind !== 'flush' && event.to.startsWith(`${directory}/`)
      ? [event.to.slice(directory.length + 1)]
      : [],
  );
}

const KiB = 1024;
const WRITES: readonly {
  readonly what: string;
  readonly write: (writer: ObjectWriter) => Promise<unknown>;
  readonly expected: RegExp;
}[] = [
  {
    what: 'a small object',
    write: (writer) => writer.write('blob', Buffer.from('small')),
    expected: /^..\/[0-9a-f]{38}$/,
  },
  {
    what: 'an object above the limit of small ones',
    write: (writer) => writer.write('blob', Buffer.alloc(64 * KiB, 'ab')),
    expected: /^..\/[0-9a-f]{38}$/,
  },
  {
    what: 'a blob that is streamed',
    write: (writer) => writer.writeBlob(pieces()),
    expected: /^..\/[0-9a-f]{38}$/,
  },
  {
    what: 'a pack',
    write: async (writer) => {
      for (let number = 0; number < 200; number++) await writer.write('blob', Buffer.from(`blob ${number}`));
    },
    expected: /^pack\/pack-[0-9a-f]{40}\.pack$/,
  },
  {
    what: 'the index of a pack',
    write: async (writer) => {
      for (let number = 0; number < 200; number++) await writer.write('blob', Buffer.from(`blob ${number}`));
    },
    expected: /^pack\/pack-[0-9a-f]{40}\.idx$/,
  },
];

async function* pieces(): AsyncGenerator<Buffer> {
  for (let number = 0; number < 40; number++) yield Buffer.alloc(64 * KiB, `${number} `);
}

for (const { what, write, expected } of WRITES) {
  test(`${what} is flushed before it gets its name, through a quarantine, too`, async (context) => {
    if (skip) return context.skip(skip);
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');

    const events = await traceFlushes(repository.path, async () => {
      await using quarantine = await Quarantine.create(repository);
      await using writer = new ObjectWriter(quarantine.repository, 'sha1');
      await write(writer);
      await writer.finish();
      await quarantine.migrate();
    });

    const objects = `${repository.path}/objects`;
    assert.ok(
      namesIn(events, objects).some((name) => expected.test(name)),
      namesIn(events, objects).join(),
    );
    assert.deepEqual(unflushed(events, fixture.storage.path), []);
  });
}

const REPOSITORY = { storageName: 'default', relativePath: 'x.git', glRepository: 'project-1' };

/** Creates a repository with a commit. @returns its path and the id of the commit. */
async function createRepository({ connection, storagePath }: TestGitaly) {
  await connection.repository.createRepository({ repository: REPOSITORY });
  const header = {
    repository: REPOSITORY,
    user: USER,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from('one'),
  };
  const { branchUpdate } = await connection.operation.userCommitFiles([
    { userCommitFilesRequestPayload: { case: 'header', value: header } },
  ]);
  return { path: join(storagePath(), REPOSITORY.relativePath), oid: branchUpdate?.commitId ?? '' };
}

const TARGET = { storageName: 'default', relativePath: 'a/b.git' };

const CREATIONS: Readonly<Record<string, (gitaly: TestGitaly, sourcePath: string) => Promise<unknown>>> = {
  CreateRepository: ({ connection }) => connection.repository.createRepository({ repository: TARGET }),
  CreateRepositoryFromURL: ({ connection }, url) =>
    connection.repository.createRepositoryFromURL({ repository: TARGET, url }),
  CreateRepositoryFromBundle: ({ connection }, source) => {
    const data = execFileSync('git', ['-C', source, 'bundle', 'create', '--quiet', '-', '--all']);
    return connection.repository.createRepositoryFromBundle([{ repository: TARGET, data }]);
  },
  CreateFork: ({ address, connection }) => {
    const servers = JSON.stringify({ default: { address, token: '' } });
    const metadata = { 'gitaly-servers': Buffer.from(servers).toString('base64') };
    const request = { repository: TARGET, sourceRepository: REPOSITORY };
    return connection.repository.createFork(request, { metadata });
  },
};

for (const [rpc, create] of Object.entries(CREATIONS)) {
  test(`${rpc} flushes all files of the new repository, and its place`, async (context) => {
    if (skip) return context.skip(skip);
    await using gitaly = await startGitaly();
    const { path: source } = await createRepository(gitaly);
    const path = join(gitaly.storagePath(), TARGET.relativePath);

    const events = await traceFlushes(path, () => create(gitaly, source));

    const at = events.findIndex((event) => event.kind === 'move' && event.to === path);
    const move = events[at];
    assert.ok(move?.kind === 'move');
    const flushed = new Set(
      events
        .slice(0, at)
        .flatMap((event) => (event.kind === 'flush' ? event.path.replace(move.from, path) : [])),
    );
    assert.deepEqual(
      globSync(`${path}{,/**}`).filter((file) => !flushed.has(file)),
      [],
    );
    assert.ok(
      events.slice(at).some((event) => event.kind === 'flush' && event.path === join(path, '..')),
      'the directory of the repository is flushed after the rename',
    );
  });
}

test('references are flushed before they get their names', async (context) => {
  if (skip) return context.skip(skip);
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), REPOSITORY.relativePath);
  const { ref, repository } = gitaly.connection;

  // From the beginning, because git processes wait for further work.
  const events = await traceFlushes(path, async () => {
    const { oid } = await createRepository(gitaly);
    const update = {
      reference: Buffer.from('refs/heads/b'),
      oldObjectId: Buffer.alloc(0),
      newObjectId: Buffer.from(oid),
    };
    await repository.writeRef({
      repository: REPOSITORY,
      ref: Buffer.from('refs/heads/a'),
      revision: Buffer.from(oid),
    });
    await ref.updateReferences([{ repository: REPOSITORY, updates: [update] }]);
    await ref.packRefs({ repository: REPOSITORY });
    await ref.deleteRefs({ repository: REPOSITORY, refs: [Buffer.from('refs/heads/b')] });
    await repository.writeRef({
      repository: REPOSITORY,
      ref: Buffer.from('HEAD'),
      revision: Buffer.from('refs/heads/a'),
    });
  });

  const names = namesIn(events, path);
  for (const name of ['refs/heads/main', 'refs/heads/a', 'refs/heads/b', 'packed-refs', 'HEAD'])
    assert.ok(names.includes(name), names.join());
  assert.deepEqual(unflushed(events, path), []);
  const head = events.findIndex((event) => event.kind === 'move' && event.to === `${path}/HEAD`);
  assert.ok(events.slice(head).some((event) => event.kind === 'flush' && event.path === path));
});

// Symptom: an empty file was left, so the webhook was new again and skipped what it had not sent.
test('the progress of a webhook is flushed before it replaces the one before', async (context) => {
  if (skip) return context.skip(skip);
  const directory = makeScratchDirectory('webhooks');
  context.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'webhooks/ci.json');

  const events = await traceFlushes(directory, async () => {
    for (const cursor of [1, 2]) {
      await using state = stateInFile(path, (error) => assert.fail(String(error)));
      state.cursor = cursor;
    }
  });

  assert.deepEqual(namesIn(events, directory), ['webhooks/ci.json', 'webhooks/ci.json']);
  assert.deepEqual(unflushed(events, directory), []);
  assert.ok(events.some((event) => event.kind === 'flush' && event.path === join(directory, 'webhooks')));
});

for (const { what, count, expected } of [
  { what: 'few objects', count: 1, expected: /^objects\/..\/[0-9a-f]{38}$/ },
  { what: 'many objects', count: 120, expected: /^objects\/pack\/pack-[0-9a-f]{40}\.pack$/ },
]) {
  test(`a push of ${what} flushes them and the reference`, async (context) => {
    if (skip) return context.skip(skip);
    await using gitaly = await startGitaly();
    const { path, oid } = await createRepository(gitaly);
    await using fixture = await StorageFixture.create();
    const source = fixture.init('source.git');
    const files = Array.from(
      { length: count },
      (_, number) => `M 100644 inline f${number}\ndata <<E\n${number}\nE\n`,
    );
    const head = 'commit refs/heads/main\ncommitter Cal <c@x> 1600000000 +0000\ndata 3\none\n';
    fixture.runGit(source.path, ['fast-import', '--quiet'], head + files.join(''));
    const pushed = fixture.runGit(source.path, ['rev-parse', 'main']);
    fixture.runGit(source.path, ['pack-objects', '--revs', '-q', join(fixture.root, 'push')], 'main\n');
    const [pack = ''] = globSync(join(fixture.root, 'push-*.pack'));
    const body = pushBody(
      [`${ZERO_OID} ${pushed} refs/heads/pushed`, `${ZERO_OID} ${oid} refs/heads/known`],
      {
        pack: readFileSync(pack),
      },
    );

    const events = await traceFlushes(path, async () => {
      const first = { repository: REPOSITORY, glId: 'user-1', glUsername: 'jane' };
      const answer: Uint8Array[] = [];
      const call = gitaly.connection.smartHttp.postReceivePack([first, { data: body }]);
      for await (const { data } of call) answer.push(data);
      const { report } = readReport(Buffer.concat(answer));
      assert.deepEqual(report, ['unpack ok', 'ok refs/heads/pushed', 'ok refs/heads/known']);
    });

    const names = namesIn(events, path);
    assert.ok(
      names.some((name) => expected.test(name)),
      names.join(),
    );
    assert.ok(names.includes('refs/heads/pushed'), names.join());
    assert.deepEqual(
      // Its content does not matter: it keeps the pack until the reference exists.
      unflushed(events, path).filter((name) => !name.endsWith('.keep')),
      [],
    );
  });
}
