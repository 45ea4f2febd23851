import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { applyPatch } from '#client/index';
import { HookRejectedError, Repository } from '#client/repository/index';
import { LfsObjects } from '#object-store/lfs-objects';
import { openStore } from '#object-store/open-store';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { FLUSH, packet, pushBody } from '#testkit/repositories/push';
import { run } from '#testkit/run-program';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startCluster } from '#testkit/start-cluster';
import { LfsSite, pointerText, pointerTo } from './lfs-site.ts';

const MANY = 400;
const ANN = { name: 'Ann', email: 'ann@example.com', id: 'username-ann', username: 'ann' };

interface Opened {
  readonly site: LfsSite;
  /** Makes a commit of files, on the branch or in place of it. */
  commit(files: Readonly<Record<string, string>>, isFirst?: boolean): void;
  push(...references: string[]): Promise<{ readonly code: number | null; readonly stderr: string }>;
}

/** Returns the text of a pointer to a file with this content. */
function pointer(content: string): string {
  return pointerText(pointerTo(Buffer.from(content)));
}

function blobOid(text: string): string {
  return createHash('sha1').update(`blob ${text.length}\0${text}`).digest('hex');
}

/** Returns the ids of a commit, and of all that it has. */
function objectsOf(source: string, commit: string): string[] {
  return gitOutput(source, ['rev-list', '--objects', '--no-object-names', '-1', commit]).split('\n');
}

/** Pushes chosen objects as a pack. @returns the response. */
async function pushPack(
  site: LfsSite,
  [before, tip]: readonly [string, string],
  objects: readonly string[],
): Promise<string> {
  const source = join(site.directory, 'source.git');
  const options = { input: `${objects.join('\n')}\n`, maxBuffer: 1 << 24 };
  const pack = execFileSync('git', ['-C', source, 'pack-objects', '--stdout', '-q'], options);
  const answer = await fetch(new URL('team/a.git/git-receive-pack', site.gateway.url), {
    method: 'POST',
    headers: {
      Authorization: `Basic ${btoa('ann:token of ann')}`,
      'Content-Type': 'application/x-git-receive-pack-request',
    },
    body: pushBody([`${before} ${tip} refs/heads/main`], { pack }),
  });
  return await answer.text();
}

async function open(context: TestContext, config?: Readonly<Record<string, unknown>>): Promise<Opened> {
  const site = await LfsSite.open(undefined, config);
  context.after(() => site[Symbol.asyncDispose]());
  const source = join(site.directory, 'source.git');
  initRepository(source);
  const url = new URL('team/a.git', site.gateway.url);
  [url.username, url.password] = ['ann', 'token of ann'];
  let commits = 0;
  return {
    site,
    commit: (files, isFirst = commits === 0) => {
      const changes = Object.entries(files).map(
        ([name, text]) => `M 100644 inline ${name}\ndata ${text.length}\n${text}\n`,
      );
      const from = isFirst ? '' : 'from refs/heads/main^0\n';
      const when = 1_600_000_000 + commits++;
      const head = `commit refs/heads/main\ncommitter A <a@x> ${when} +0000\ndata 1\nx\n`;
      gitOutput(source, ['fast-import', '--quiet', '--force'], head + from + changes.join(''));
    },
    push: async (...references) =>
      await run('git', ['-C', source, 'push', '--force', url.href, ...references]),
  };
}

test('a push of pointers is refused until their files are there', async (context) => {
  const { commit, push, site } = await open(context);
  commit({ 'one.bin': pointer('one'), 'two.bin': pointer('two') });
  await site.store(Buffer.from('one'));

  const refused = await push('main');
  assert.equal(refused.code, 1);
  const { oid } = pointerTo(Buffer.from('two'));
  assert.ok(refused.stderr.includes(`"two.bin" (${oid})`), refused.stderr);
  assert.doesNotMatch(refused.stderr, /one\.bin/);
  await site.store(Buffer.from('two'));

  assert.equal((await push('main')).code, 0);
});

test('a push with more files than git unpacks names ten of those that are missing', async (context) => {
  const { commit, push, site } = await open(context);
  const names = Array.from({ length: MANY }, (_, index) => `file${index}`);
  commit(Object.fromEntries(names.map((name) => [name, pointer(name)])));
  for (const name of names.slice(0, -15)) await site.store(Buffer.from(name));

  const refused = await push('main', 'main:other');
  assert.equal(refused.code, 1);
  assert.equal(refused.stderr.match(/"file\d+" \(/g)?.length, 10, refused.stderr);
  assert.match(refused.stderr, /and 5 more/);
  for (const name of names.slice(-15)) await site.store(Buffer.from(name));

  assert.equal((await push('main', 'main:other')).code, 0);
});

test('a pointer of another size is refused; a text that is no pointer is not', async (context) => {
  const { commit, push, site } = await open(context);
  const stored = await site.store(Buffer.from('content'));
  const wrong = pointerText({ ...stored, size: stored.size + 1 });

  for (const [text, code] of [
    [wrong, 1],
    [`${pointer('x')}and more\n`, 0],
    [pointer(''), 0],
    [pointer('content'), 0],
  ] as const) {
    commit({ file: text }, true);
    assert.equal((await push('main')).code, code, text);
  }
});

test('a fork may name the files of its source, and no other repository may', async (context) => {
  const { commit, push, site } = await open(context);
  const { connection } = site.gitaly;
  commit({ one: pointer('one') });
  await site.store(Buffer.from('one'));
  assert.equal((await push('main')).code, 0);
  const at = (path: string) => new Repository(connection, { path, user: ANN });
  await at('team/a.git').fork('team/fork.git');
  await at('team/other.git').create();
  const add = { branch: 'main', message: 'again' };

  await at('team/fork.git').commit({ ...add, files: { again: pointer('one') } });
  await assert.rejects(at('team/other.git').commit({ ...add, files: { again: pointer('one') } }), (error) => {
    assert.ok(error instanceof HookRejectedError);
    assert.match(error.message, /"again" \(/);
    return true;
  });
  await at('team/other.git').commit({ ...add, files: { again: 'no pointer' } });
});

test('a history whose files are missing already can be pushed to, as a whole', async (context) => {
  const { site } = await open(context);
  const repository = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  await repository.commit({ files: { old: pointer('gone') }, message: 'Import' });
  // git keeps a pack of many objects as it is, with those that the repository has.
  const texts = Array.from({ length: MANY }, (_, index) => [`text${index}`, `text ${index}`]);
  await repository.commit({ files: Object.fromEntries(texts), message: 'More' });
  const [tip, before] = [
    await repository.git(['rev-parse', 'main']),
    await repository.git(['rev-parse', 'main~1']),
  ];
  const options = { input: Buffer.from(`${tip}\n`), maxBuffer: 1 << 24 };
  const pack = execFileSync(
    'git',
    ['-C', repository.path, 'pack-objects', '--revs', '--stdout', '-q'],
    options,
  );
  await repository.git(['update-ref', 'refs/heads/main', before]);
  await repository.git(['prune', '--expire=now']);

  const request = [packet(`${before} ${tip} refs/heads/main\0report-status`), FLUSH].join('');
  const answer = await fetch(new URL('team/a.git/git-receive-pack', site.gateway.url), {
    method: 'POST',
    headers: {
      Authorization: `Basic ${btoa('ann:token of ann')}`,
      'Content-Type': 'application/x-git-receive-pack-request',
    },
    body: Buffer.concat([Buffer.from(request), pack]),
  });

  assert.match(await answer.text(), /ok refs\/heads\/main/);
  assert.equal(await repository.git(['rev-parse', 'main']), tip);
});

test('a pointer is found behind any number of those that no reference leads to', async (context) => {
  const { commit, push, site } = await open(context);
  commit({ text: 'text' });
  assert.equal((await push('main')).code, 0);
  // The server finds the blobs of a pack in the order of their ids.
  const isLast = (text: string) => blobOid(text).startsWith('ff');
  const texts = Array.from({ length: 4000 }, (_, index) => pointer(`spare ${index}`));
  const last = texts.find(isLast) ?? '';
  const before = gitOutput(join(site.directory, 'source.git'), ['rev-parse', 'main']);
  commit({ last });
  const source = join(site.directory, 'source.git');
  const tip = gitOutput(source, ['rev-parse', 'main']);
  const spare = texts.filter((text) => !isLast(text));
  const blobs = spare.map((text) => `blob\ndata ${text.length}\n${text}\n`).join('');
  gitOutput(source, ['fast-import', '--quiet'], blobs);

  const refused = await pushPack(site, [before, tip], [...spare.map(blobOid), ...objectsOf(source, tip)]);
  assert.match(refused, /"last" \(/);
  assert.doesNotMatch(refused, /ok refs\/heads\/main/);
  await site.store(Buffer.from(`spare ${texts.indexOf(last)}`));

  const accepted = await pushPack(site, [before, tip], [...spare.map(blobOid), ...objectsOf(source, tip)]);
  assert.match(accepted, /ok refs\/heads\/main/);
});

test('patches of pointers are refused until their files are there', async (context) => {
  const { commit, push, site } = await open(context);
  commit({ text: 'text' });
  assert.equal((await push('main')).code, 0);
  commit({ one: pointer('one') });
  const patch = gitOutput(join(site.directory, 'source.git'), ['format-patch', '--stdout', '-1', 'main']);
  const target = { storageName: 'default', relativePath: 'team/a.git' };
  const user = { glUsername: 'ann', glId: 'username-ann', name: Buffer.from('A'), email: Buffer.from('a@x') };
  const header = { repository: target, user, targetBranch: Buffer.from('main') };
  const apply = () => applyPatch(site.gitaly.connection, header, `${patch}\n`);

  await assert.rejects(apply(), { code: 'PERMISSION_DENIED', message: 'denied by custom hooks' });
  await site.store(Buffer.from('one'));
  assert.ok(await apply());
});

test('a store that cannot be read refuses pointers, and nothing else', async (context) => {
  const { commit, push, site } = await open(context);
  commit({ text: 'text' });
  assert.equal((await push('main')).code, 0);
  commit({ one: pointer('one') });
  await site.store(Buffer.from('one'));
  renameSync(join(site.directory, 'store'), join(site.directory, 'gone'));

  const refused = await push('main');
  assert.deepEqual([refused.code, /the store of Git LFS cannot be read/.test(refused.stderr)], [1, true]);
  assert.ok(site.gitaly.log.some(({ msg }) => msg === 'cannot check files of Git LFS'));
  assert.equal((await push('main~1:refs/heads/other')).code, 0);
});

test('a server that accepts missing files takes the push', async (context) => {
  const { commit, push } = await open(context, { lfs: { url: 'mem://', refuse_missing: false } });
  commit({ one: pointer('one') });

  assert.equal((await push('main')).code, 0);
});

test('in a cluster the refusal of one node is that of all', async (context) => {
  const store = makeScratchDirectory('lfs');
  context.after(() => rmSync(store, { recursive: true }));
  await using cluster = await startCluster({ gitalyConfig: { lfs: { url: store } } });
  const repository = new Repository(cluster.connection, { path: 'a.git', user: ANN });
  await repository.create();
  const target = { repository: { storageName: 'default', relativePath: 'a.git' } };
  await cluster.connection.settings.setLfsIds({ ...target, ids: ['id'] });
  const add = { branch: 'main', message: 'one', files: { one: pointer('one') } };

  await assert.rejects(repository.commit(add), HookRejectedError);
  const objects = new LfsObjects(await openStore(store), ['id']);
  const { oid, size: sizeBytes } = pointerTo(Buffer.from('one'));
  const { signal } = new AbortController();
  await objects.write(oid, Readable.from([Buffer.from('one')]), { sizeBytes, signal });
  const made = await repository.commit(add);

  for (const node of [1, 2, 3])
    assert.equal(gitOutput(cluster.repositoryPath(node, 'a.git'), ['rev-parse', 'main']), made);
});
