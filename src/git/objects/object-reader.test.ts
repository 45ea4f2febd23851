import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { steady, until } from '#testkit/until';
import { InProcess } from '../command/in-process.ts';
import { readTrailers } from './read-trailers.ts';

const directory = makeScratchDirectory('objects');
const git = await GitFixture.start();
const onlyCatFile = await GitFixture.start({ inProcess: new InProcess({ isEnabled: false }) });
after(async () => {
  await Promise.all([git.close(), onlyCatFile.close()]);
  rmSync(directory, { recursive: true });
});

const ENV = {
  PATH: process.env.PATH,
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'A U Thor',
  GIT_AUTHOR_EMAIL: 'author@x',
  GIT_COMMITTER_NAME: 'C O Mitter',
  GIT_COMMITTER_EMAIL: 'committer@x',
};
const BIG = 3 * 1024 * 1024;
let count = 0;

class Fixture {
  readonly path = join(directory, `${count++}.git`);
  readonly repository = git.open(this.path);
  /** The same one, without answers in process. */
  readonly byCatFile = onlyCatFile.open(this.path);

  constructor(...options: string[]) {
    outputSync('git', ['init', '--quiet', '--bare', '--initial-branch=main', ...options, this.path]);
  }

  run(args: string[], input: string | Buffer = ''): string {
    return outputSync('git', ['--git-dir', this.path, ...args], { env: ENV, input })
      .toString('latin1')
      .trim();
  }

  blob(data: string | Buffer): string {
    return this.run(['hash-object', '-w', '--stdin'], data);
  }

  /** Commits files to main. */
  commit(files: Record<string, string | Buffer>, message = 'subject\n\nbody\n'): string {
    const tree = this.run(
      ['mktree'],
      Object.entries(files)
        .map(([name, data]) => `100644 blob ${this.blob(data)}\t${name}\n`)
        .join(''),
    );
    const oid = this.run(['commit-tree', '-F', '-', tree], message);
    this.run(['update-ref', 'refs/heads/main', oid]);
    return oid;
  }
}

async function digest(stream: Readable | undefined): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream ?? []) hash.update(chunk);
  return hash.digest('hex');
}

for (const format of ['sha1', 'sha256']) {
  test(`objects of a ${format} repository are what git says they are`, async () => {
    const fixture = new Fixture(`--object-format=${format}`);
    const oid = fixture.commit({ file: 'content\n', empty: '' });
    fixture.run(['tag', '-a', '-m', 'tag message', 'v1', oid]);
    const objects = fixture.repository.objects;

    for (const revision of [
      'main',
      'HEAD',
      oid,
      oid.slice(0, 8),
      'main^{tree}',
      'main:file',
      'v1',
      'v1^{commit}',
      'main:empty',
      'main:',
    ]) {
      const [expected, type, size] = fixture.run(['cat-file', '--batch-check'], `${revision}\n`).split(' ');
      assert.deepEqual(await objects.info(revision), { oid: expected, type, size: Number(size) }, revision);
      const object = await objects.readObject(revision);
      assert.equal(object?.data.length, Number(size), revision);
    }
    for (const revision of [
      'nope',
      '',
      'main:nope',
      'main:../x/..',
      '0'.repeat(40),
      'main..main',
      'a b',
      '-x',
    ]) {
      assert.equal(
        await objects
          .info(revision)
          .catch((error: Error) => (error.message === 'read info line: EOF' ? undefined : error)),
        undefined,
        revision,
      );
    }
    assert.equal((await objects.readObject('main:file'))?.data.toString(), 'content\n');
    const commit = await objects.readCommit('v1');
    assert.equal(commit?.oid, oid);
    assert.equal(commit?.author?.email.toString(), 'author@x');
    assert.equal(commit?.body.toString(), 'subject\n\nbody\n');
    assert.equal(await objects.readCommit('main:file'), undefined);
    assert.equal((await objects.readTag('v1'))?.message.toString(), 'tag message\n');
    assert.equal(await objects.readTag('main'), undefined);
  });
}

test('a short name is taken for what git takes it for, also where several things are called so', async () => {
  const fixture = new Fixture();
  const oids = ['a', 'b', 'c', 'd', 'e'].map((text) => fixture.commit({ file: text }));
  const names = ['x', 'main', 'tags', 'a/b', 'deadbeef', 'feed', 'v1-1-gabc', 'x.y', 'Üml', 'FETCH_HEAD'];
  for (const name of names) {
    const full = [
      `refs/heads/${name}`,
      `refs/tags/${name}`,
      `refs/${name}/deep`,
      `refs/remotes/origin/${name}`,
    ];
    for (const [index, reference] of full.entries()) {
      if ((name.length + index) % 3 > 0) fixture.run(['update-ref', reference, oids[index] ?? '']);
    }
  }
  fixture.run(['update-ref', 'refs/other', oids[4] ?? '']);
  fixture.run(['symbolic-ref', 'refs/tags/dangling', 'refs/heads/none']);
  fixture.run(['update-ref', 'refs/heads/dangling', oids[3] ?? '']);
  writeFileSync(join(fixture.path, 'FETCH_HEAD'), `${oids[4]}\t\tbranch 'x' of y\n`);
  const objects = fixture.repository.objects;
  const questions = [
    'other',
    'dangling',
    'config',
    'HEAD',
    'remotes/origin/x',
    'origin/x',
    ...names,
    ...names.map((name) => `tags/${name}`),
  ];
  for (const name of questions) {
    for (const revision of [name, `${name}^{commit}`, `${name}^{tree}`, `${name}:file`, `${name}~0`]) {
      const [expected, type] = fixture
        .run(['cat-file', '--batch-check'], Buffer.from(`${revision}\n`))
        .split(' ');

      assert.equal(
        (await objects.readObject(revision))?.oid,
        type === 'missing' ? undefined : expected,
        revision,
      );
    }
  }
});

test('concurrent requests share one process and get their own answers', async () => {
  const fixture = new Fixture();
  const oids = Array.from({ length: 50 }, (_, index) => fixture.blob(`blob ${index}`));
  const { objects } = fixture.byCatFile;
  const before = onlyCatFile.caches.catFiles.counts.started;

  const all = await Promise.all(
    Array.from({ length: 1_000 }, (_, index) => objects.readObject(oids[index % 50] ?? '')),
  );

  for (const [index, object] of all.entries()) assert.equal(object?.data.toString(), `blob ${index % 50}`);
  assert.equal(onlyCatFile.caches.catFiles.counts.started, before + 1);
});

test('a revision that kills git fails alone, whatever else is asked at the time', async () => {
  const fixture = new Fixture();
  fixture.commit({ file: 'x' });
  const corrupt = fixture.blob(randomBytes(10_000));
  const loose = join(fixture.path, 'objects', corrupt.slice(0, 2), corrupt.slice(2));
  chmodSync(loose, 0o644);
  // The size can still be read, but not the contents.
  writeFileSync(loose, readFileSync(loose).subarray(0, 5_000));
  const objects = fixture.repository.objects;

  const results = await Promise.allSettled(
    Array.from({ length: 60 }, (_, index) => {
      if (index % 10 === 3) return objects.readObject(corrupt);
      if (index % 10 === 5)
        return objects.info(['main:../x', 'main@{upstream}', 'main@{9}', ':./x'][index % 4] ?? '');
      return objects.readObject('main:file');
    }),
  );

  for (const [index, result] of results.entries()) {
    if (index % 10 === 3) assert.equal(result.status, 'rejected');
    else if (index % 10 !== 5)
      assert.equal(
        result.status === 'fulfilled' && result.value?.type,
        'blob',
        `${index}: ${JSON.stringify(result)}`,
      );
  }
  await assert.rejects(objects.info('main:../x'), { message: 'read info line: EOF' });
});

test('a NUL is refused, line feeds and carriage returns are not mistaken for something else', async () => {
  const fixture = new Fixture();
  const oid = fixture.commit({ file: 'x' }, 'first line\nsecond line\n');
  const objects = fixture.repository.objects;

  await assert.rejects(objects.info('a\0b'), {
    code: 'INVALID_ARGUMENT',
    message: 'revision must not contain NUL bytes',
  });
  assert.equal(await objects.info('main\ninfo main'), undefined);
  assert.equal(await objects.info('main\r'), undefined);
  assert.equal((await objects.info(':/first line\nsecond'))?.oid, oid);
  assert.equal((await objects.info('main'))?.oid, oid);
});

test('an id with zeros behind it is that id, as git has it that knows longer ids', async () => {
  const fixture = new Fixture('--object-format=sha1');
  const oid = fixture.commit({ file: 'x' });
  const objects = fixture.repository.objects;

  assert.equal((await objects.info(`${oid}0`))?.oid, oid);
  assert.equal((await objects.readCommit(`${oid}${'0'.repeat(24)}`))?.oid, oid);
  for (const behind of ['5', 'abc', '05', '0'.repeat(25), 'g'])
    assert.equal(await objects.info(oid + behind), undefined, behind);
});

test('an object file that is empty is no object', async () => {
  const fixture = new Fixture();
  const oid = fixture.commit({ file: 'x' });
  const loose = join(fixture.path, 'objects', oid.slice(0, 2), oid.slice(2));
  chmodSync(loose, 0o644);
  writeFileSync(loose, '');

  assert.equal(await fixture.repository.objects.readCommit('main'), undefined);
});

test('an ambiguous short id is an error in the words of Gitaly', async () => {
  const fixture = new Fixture();
  const seen = new Map<string, number>();
  let prefix = '';
  for (let index = 0; prefix === ''; index++) {
    const header = `blob ${String(index).length}\0${index}`;
    const short = createHash('sha1').update(header).digest('hex').slice(0, 4);
    const other = seen.get(short);
    if (other !== undefined) {
      fixture.blob(String(index));
      fixture.blob(String(other));
      prefix = short;
    }
    seen.set(short, index);
  }

  await assert.rejects(fixture.repository.objects.info(prefix), {
    message: `invalid info line: "${prefix} ambiguous"`,
  });
});

test('a big object is streamed, others are served meanwhile, and its process is used again', async () => {
  const fixture = new Fixture();
  const data = randomBytes(BIG);
  const big = fixture.blob(data);
  const small = fixture.blob('small');
  const objects = fixture.repository.objects;

  const [opened, others] = await Promise.all([
    objects.openObject(big),
    Promise.all(Array.from({ length: 20 }, () => objects.readObject(small))),
  ]);

  assert.equal(
    others.every((object) => object?.data.toString() === 'small'),
    true,
  );
  assert.equal(opened?.size, BIG);
  assert.equal(opened?.data, undefined);
  assert.equal(await digest(opened?.stream), createHash('sha256').update(data).digest('hex'));
  const before = git.caches.catFiles.counts.started;
  for (let index = 0; index < 3; index++) await digest((await objects.openObject(big))?.stream);
  assert.equal(git.caches.catFiles.counts.started, before);
  assert.equal((await objects.openObject(small))?.data?.toString(), 'small');
  assert.equal(
    await digest((await objects.openObject(small))?.stream),
    createHash('sha256').update('small').digest('hex'),
  );
});

test('a reader that stops stops git, and one that leaves ends it', async () => {
  const fixture = new Fixture();
  const big = fixture.blob(Buffer.alloc(64 * 1024 * 1024, 'x'));
  const objects = fixture.repository.objects;
  const controller = new AbortController();
  const running = git.caches.catFiles.counts.running;

  const opened = await objects.openObject(big, { signal: controller.signal });
  opened?.stream.read(1);
  assert.ok((await steady(() => opened?.stream.readableLength ?? 0)) < 1024 * 1024);
  controller.abort();

  assert.equal(opened?.stream.destroyed, true);
  await until(() => git.caches.catFiles.counts.running <= running);
  assert.equal((await objects.info(big))?.size, 64 * 1024 * 1024);
});

test('an object above the limit is refused without harm to others', async () => {
  const fixture = new Fixture();
  const big = fixture.blob(Buffer.alloc(BIG));
  const small = fixture.blob('small');
  const objects = fixture.repository.objects;

  const [refused, served] = await Promise.allSettled([
    objects.readObject(big, { maxBytes: 100 }),
    objects.readObject(small),
  ]);

  assert.equal(refused.status === 'rejected' && refused.reason.code, 'RESOURCE_EXHAUSTED');
  assert.equal(served.status === 'fulfilled' && served.value?.data.toString(), 'small');
});

test('an aborted request does not wait, and does not disturb its neighbours', async () => {
  const fixture = new Fixture();
  const small = fixture.blob('small');
  const { objects } = fixture.byCatFile;
  const controller = new AbortController();

  const aborted = objects.readObject(small, { signal: controller.signal });
  const other = objects.readObject(small);
  controller.abort();

  await assert.rejects(aborted, { code: 'CANCELLED', message: 'context canceled' });
  assert.equal((await other)?.data.toString(), 'small');
  await assert.rejects(objects.info(small, { signal: controller.signal }), { code: 'CANCELLED' });
});

test('a repository that was removed and made anew is not answered from before', async () => {
  const fixture = new Fixture();
  const old = fixture.blob('old');
  assert.equal((await fixture.repository.objects.info(old))?.type, 'blob');

  renameSync(fixture.path, `${fixture.path}.old`);
  outputSync('git', ['init', '--quiet', '--bare', fixture.path]);

  assert.equal(await fixture.repository.objects.info(old), undefined);
});

test('new objects, packs and alternates are seen', async () => {
  const fixture = new Fixture();
  const pool = new Fixture();
  const objects = fixture.repository.objects;
  const missing = pool.blob('only in the pool');
  assert.equal(await objects.info(missing), undefined);

  const oid = fixture.commit({ file: 'new' });
  assert.equal((await objects.info('main'))?.oid, oid);
  fixture.run(['repack', '-adq']);
  assert.equal((await objects.info('main:file'))?.size, 3);
  writeFileSync(join(fixture.path, 'objects/info/alternates'), `${pool.path}/objects\n`);
  assert.equal((await objects.info(missing))?.type, 'blob');
});

test('a quarantine has its objects to itself', async () => {
  const fixture = new Fixture();
  const quarantine = new Fixture();
  const inside = quarantine.blob('inside');
  const quarantined = fixture.repository.withObjectDirectories({
    objectDirectory: `${quarantine.path}/objects`,
    alternateObjectDirectories: [`${fixture.path}/objects`],
  });
  const outside = fixture.blob('outside');

  assert.equal((await quarantined.objects.info(inside))?.type, 'blob');
  assert.equal((await quarantined.objects.info(outside))?.type, 'blob');
  assert.equal(await fixture.repository.objects.info(inside), undefined);
});

test('the budget of processes is kept', async () => {
  const frugal = await GitFixture.start({ catFileProcesses: 2, catFileIdleMs: 600_000 });
  const fixtures = Array.from({ length: 5 }, () => new Fixture());

  for (const { path } of fixtures) await frugal.open(path).objects.info('HEAD');

  assert.equal(frugal.caches.catFiles.counts.started, 5);
  await until(() => frugal.caches.catFiles.counts.running <= 2, 'the processes above the budget have ended');
  await frugal.close();
});

test('idle processes end', async () => {
  const frugal = await GitFixture.start({ catFileIdleMs: 100 });
  await frugal.open(new Fixture().path).objects.info('HEAD');

  await until(() => frugal.caches.catFiles.counts.running === 0, 'the idle process has ended');
  await frugal.close();
});

test('the mailmap of HEAD applies, and only where it is wanted', async () => {
  const fixture = new Fixture();
  fixture.commit({ '.mailmap': 'Proper Name <proper@x> <author@x>\n' });
  const objects = fixture.repository.objects;

  assert.equal((await objects.readCommit('main'))?.author?.name.toString(), 'Proper Name');
  assert.equal((await objects.readCommit('main', { mailmap: false }))?.author?.name.toString(), 'A U Thor');
  assert.equal((await objects.readCommit('main'))?.committer?.name.toString(), 'C O Mitter');
});

test('trailers are those that git sees', async () => {
  const fixture = new Fixture();
  fixture.commit({}, 'subject\n\nprose: yes\n\nSigned-off-by: A\n <a@x>\nKey: v\n');
  const objects = fixture.repository.objects;
  const commit = await objects.readCommit('main');
  assert.ok(commit);

  const trailers = await readTrailers(fixture.repository, commit, new AbortController().signal);

  assert.deepEqual(
    trailers.map(({ key, value }) => `${key}|${value}`),
    ['Signed-off-by|A <a@x>', 'Key|v'],
  );
});

test('a repository that git refuses is an error for every request, and none hangs', async () => {
  const fixture = new Fixture();
  writeFileSync(join(fixture.path, 'HEAD'), 'garbage\n');
  const objects = fixture.repository.objects;

  const results = await Promise.allSettled(Array.from({ length: 10 }, () => objects.info('HEAD')));

  for (const result of results)
    assert.equal(result.status === 'rejected' && result.reason.message, 'flushing: write |1: broken pipe');
});

test('a process that talks nonsense fails its requests and nothing else', async () => {
  const file = join(directory, 'nonsense-git');
  writeFileSync(
    file,
    `#!/bin/sh\ncase "$*" in *version*) echo git version 2.39.5;; *) head -c 100000 /dev/urandom;; esac\n`,
  );
  chmodSync(file, 0o755);
  const broken = await GitFixture.start({ binary: file });
  const fixture = new Fixture();

  const results = await Promise.allSettled(
    Array.from({ length: 5 }, () => broken.open(fixture.path).objects.readObject('HEAD')),
  );

  assert.ok(results.every(({ status }) => status === 'rejected'));
  await broken.close();
});

test('a closed pool answers nothing and leaves no process', async () => {
  const brief = await GitFixture.start();
  const fixture = new Fixture();
  await brief.open(fixture.path).objects.info('HEAD');

  await brief.close();

  assert.equal(brief.caches.catFiles.counts.running, 0);
  await assert.rejects(brief.open(fixture.path).objects.info('HEAD'), { code: 'UNAVAILABLE' });
  assert.ok(readFileSync(join(fixture.path, 'HEAD')).length > 0);
});
