import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LastCommitSearches } from '#console/last-commit-searches';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openConsole } from './open-console.ts';

const PATH = '/repository/team/a.git/-';
const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** Opens a console with a repository of all kinds of entries. */
async function open() {
  const console = await openConsole();
  const repository = await console.gitaly.createRepository({ relativePath: 'team/a.git' });
  await repository.commit({ message: 'old', files: { 'old.txt': 'old\n', 'dir/deep/a.txt': 'a\n' } });
  await repository.commit({
    message: 'pictures',
    files: {
      'picture.png': PICTURE,
      'big.txt': 'a line\n'.repeat(100_000),
      empty: '',
      'page.html': '<script>alert(1)</script>\n',
      'binary.bin': Buffer.concat([Buffer.from([0, 1, 2]), Buffer.alloc(300_000, 7)]),
      '.gitmodules':
        '[submodule "web"]\n\tpath = libs/web\n\turl = https://example.com/web.git\n' +
        '[submodule "bad"]\n\turl = "javascript:alert(1)"\n\tpath = "libs/bad"\n',
    },
  });
  const links = { 'dir/up': '../old.txt', 'dir/broken': 'none', 'dir/out': '../../etc/passwd' };
  const index = join(makeScratchDirectory('index'), 'index');
  const git = async (...args: string[]): Promise<string> =>
    execFileSync('git', ['-C', repository.path, ...args], {
      env: { ...process.env, GIT_INDEX_FILE: index },
    }).toString();
  await git('read-tree', 'main');
  for (const [path, target] of Object.entries(links)) {
    writeFileSync(`${index}.link`, target);
    const oid = (await git('hash-object', '-w', `${index}.link`)).trim();
    await git('update-index', '--add', '--cacheinfo', `120000,${oid},${path}`);
  }
  const commit = (await git('rev-parse', 'main')).trim();
  for (const name of ['web', 'bad', 'none'])
    await git('update-index', '--add', '--cacheinfo', `160000,${commit},libs/${name}`);
  const tree = (await git('write-tree')).trim();
  const tip = (await repository.git(['commit-tree', '-p', 'main', '-m', 'links', tree])).trim();
  await repository.git(['update-ref', 'refs/heads/main', tip]);
  rmSync(join(index, '..'), { recursive: true });
  return { console, repository, tip };
}

test('a directory shows size, mode and last commit of each entry, as git does', async () => {
  const { console, repository } = await open();
  await using _ = console;

  const { entries } = await console.json(`${PATH}/files`);

  assert.ok(entries.length >= 7);
  const types = entries.map(({ type }: { type: string }) => type === 'directory');
  assert.deepEqual(types, types.toSorted().reverse(), 'directories first');
  for (const { bytes, lastCommit, mode, oid, path, type } of entries) {
    const last = await repository.git(['log', '-1', '--format=%H %s', 'main', '--', path]);
    assert.equal(`${lastCommit.id} ${lastCommit.subject}`, last.trim(), path);
    const [listed = ''] = (await repository.git(['ls-tree', '-l', 'main', '--', path])).split('\t');
    const [gitMode = '', , gitOid, size] = listed.split(/ +/);
    assert.deepEqual([mode.padStart(6, '0'), oid], [gitMode, gitOid]);
    assert.equal(type === 'file' ? String(bytes) : '-', size, path);
  }
});

test('the searches of last commits are few at a time, and each answers all its pages', async () => {
  const { console, repository, tip } = await open();
  await using _ = console;
  using changes = new LastCommitSearches(console.gitaly.connection);
  const find = (path: string) =>
    changes.find(
      {
        repository: { storageName: 'default', relativePath: 'team/a.git' },
        commit: tip,
        path: Buffer.from(path),
      },
      10_000,
    );

  const [root, same, directory, third] = await Promise.all([find(''), find(''), find('dir'), find('libs')]);

  assert.equal(root, same);
  assert.ok(directory instanceof Map && third === 'later');
  const last = (await repository.git(['log', '-1', '--format=%H', 'main', '--', 'dir/deep'])).trim();
  assert.equal(directory.get('dir/deep')?.id, last);
  assert.ok((await find('libs')) instanceof Map);
});

test('a file is sent as it is: whole, in ranges, as a download, and not again', async () => {
  const { console, repository } = await open();
  await using _ = console;
  const raw = async (path: string, headers: Record<string, string> = {}, method = 'GET') => {
    const response = await fetch(`${console.url}${PATH}/raw/${path}`, { headers, method });
    return {
      status: response.status,
      headers: response.headers,
      body: Buffer.from(await response.arrayBuffer()),
    };
  };
  const binary = Buffer.concat([Buffer.from([0, 1, 2]), Buffer.alloc(300_000, 7)]);
  const oid = (await repository.git(['rev-parse', 'main:binary.bin'])).trim();

  const whole = await raw('binary.bin');
  assert.ok(whole.body.equals(binary));
  assert.deepEqual(
    ['content-type', 'content-length', 'etag', 'x-content-type-options'].map((name) =>
      whole.headers.get(name),
    ),
    ['application/octet-stream', '300003', `"${oid}"`, 'nosniff'],
  );
  for (const [range, start, end] of [
    ['bytes=2-10', 2, 11],
    ['bytes=299999-', 299_999, 300_003],
    ['bytes=-5', 299_998, 300_003],
    ['bytes=70000-200000', 70_000, 200_001],
  ] as const) {
    const part = await raw('binary.bin', { range });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes ${start}-${end - 1}/300003`);
    assert.ok(part.body.equals(binary.subarray(start, end)), range);
  }
  assert.equal((await raw('binary.bin', { range: 'bytes=400000-' })).status, 416);
  assert.equal((await raw('binary.bin', { range: 'bytes=2-3', 'if-range': '"other"' })).status, 200);
  const again = await raw('binary.bin', { 'if-none-match': `"${oid}"` });
  assert.deepEqual([again.status, again.headers.get('content-length'), again.body.length], [304, null, 0]);
  const head = await raw('binary.bin', {}, 'HEAD');
  assert.deepEqual([head.status, head.headers.get('content-length'), head.body.length], [200, '300003', 0]);

  const empty = await raw('empty');
  assert.deepEqual([empty.status, empty.headers.get('content-length'), empty.body.length], [200, '0', 0]);
  const page = await raw('page.html');
  assert.equal(page.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.match(page.headers.get('content-security-policy') ?? '', /sandbox/);
  const picture = await raw('picture.png?download=1');
  assert.deepEqual(
    [picture.headers.get('content-type'), picture.headers.get('content-disposition')],
    ['image/png', "attachment; filename*=UTF-8''picture.png"],
  );
  for (const path of ['dir', 'none', 'libs/web']) assert.equal((await raw(path)).status, 404, path);
});

test('an archive of a branch or a directory is downloaded', async () => {
  const { console, repository } = await open();
  await using _ = console;
  const archive = async (path: string): Promise<Buffer> => {
    const response = await fetch(`${console.url}${PATH}/archive${path}`);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-disposition') ?? '', /filename="a-main/);
    return Buffer.from(await response.arrayBuffer());
  };
  const names = (bytes: Buffer): string[] =>
    execFileSync('tar', ['-tzf', '-'], { input: bytes })
      .toString()
      .trim()
      .split('\n')
      .filter((name) => !name.endsWith('/'));
  const listed = async (prefix: string, ...path: string[]): Promise<string[]> =>
    (await repository.git(['ls-tree', '-r', '--format=%(objectmode) %(path)', 'main', ...path]))
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('160000'))
      .map((line) => `${prefix}/${line.slice('100644 '.length)}`);

  assert.deepEqual(names(await archive('?ref=main&as=tar.gz')).sort(), (await listed('a-main')).sort());
  const directory = names(await archive('/dir?ref=refs/heads/main&as=tar.gz'));
  assert.deepEqual(directory.sort(), (await listed('a-main-dir', 'dir/')).sort());
  assert.equal((await archive('?ref=main&as=zip')).subarray(0, 2).toString(), 'PK');
  for (const as of ['', 'exe', '__proto__'])
    assert.equal((await console.get(`${PATH}/archive?as=${as}`)).status, 404);
});

test('links, submodules, pictures and large files are shown as such', async () => {
  const { console } = await open();
  await using _ = console;
  const json = (path: string) => console.json(`${PATH}/files/${path}`);
  const text = async (path: string): Promise<string> => (await console.get(`${PATH}/files/${path}`)).text;

  assert.deepEqual(
    await Promise.all(['dir/up', 'dir/broken', 'dir/out'].map(async (path) => (await json(path)).leadsTo)),
    ['old.txt', null, null],
  );
  assert.match(await text('dir/up'), /<a href="[^"]*\/files\/old\.txt\?ref=main">\.\.\/old\.txt<\/a>/);
  assert.match(await text('dir/broken'), /there is no such file/);
  assert.match(await text('dir/out'), /outside the repository/);
  assert.equal((await json('libs/web')).address, 'https://example.com/web.git');
  assert.match(await text('libs/web'), /<a href="https:\/\/example\.com\/web\.git"/);
  assert.doesNotMatch(await text('libs/bad'), /<a href="javascript/);
  assert.equal((await json('libs/none')).address, null);
  assert.match(
    await text('picture.png'),
    /<img class="picture" src="[^"]*\/raw\/picture\.png\?ref=[0-9a-f]{40}"/,
  );
  assert.match(
    await text('big.txt'),
    /Only the first 256\.0 KiB are shown\. See <a href="[^"]*\/raw\/big\.txt/,
  );
});

test('a pointer of Git LFS is named, with its size; without LFS there is no more', async () => {
  const { console, repository } = await open();
  await using _ = console;
  const pointer = lfsPointer({ oid: 'ab'.repeat(32), size: 3_000_000 });
  await repository.commit({ files: { 'film.mp4': pointer, 'text.txt': `${pointer}more\n` } });

  assert.deepEqual((await console.json(`${PATH}/files/film.mp4`)).lfs, {
    oid: 'ab'.repeat(32),
    bytes: 3_000_000,
    isPresent: null,
  });
  const { text } = await console.get(`${PATH}/files/film.mp4`);
  assert.match(text, /A file of Git LFS with 2\.9 MiB\.\nGit LFS is off on this server\./);
  assert.doesNotMatch(text, />LFS<|>API/);
  assert.equal((await console.json(`${PATH}/files/text.txt`)).lfs, undefined);
});

test('the same path is shown at another branch, tag or commit', async () => {
  const { console, repository } = await open();
  await using _ = console;
  await repository.git(['branch', 'feature/x', 'main~1']);
  await repository.git(['tag', 'v1', 'main~2']);

  const { text } = await console.get(`${PATH}/files/dir/deep`);

  const [, action = ''] =
    /<form class="search" method="get" action="([^"]*)">\s*<label for="ref">/.exec(text) ?? [];
  assert.equal(action, '/-/console/repository/team/a.git/-/files/dir/deep');
  assert.deepEqual(
    [...text.matchAll(/<option value="([^"]*)">/g)].map(([, name]) => name),
    ['feature/x', 'main', 'v1'],
  );
  for (const ref of ['feature/x', 'v1']) {
    const { commit } = await console.json(`${PATH}/files/dir/deep?ref=${encodeURIComponent(ref)}`);
    assert.equal(commit, (await repository.git(['rev-parse', `${ref}^{commit}`])).trim());
  }
});
