import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checksumOf, END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';
import { initServed } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const repository = { storageName: 'default', relativePath: 'x.git' };

async function start() {
  const gitaly = await startGitaly();
  const directory = initServed(gitaly, repository.relativePath, { commits: 1 });
  const { repository: calls } = gitaly.connection;
  const set = (archive: Buffer) => calls.setCustomHooks(inPieces(archive));
  const get = async () =>
    Buffer.concat((await Array.fromAsync(calls.getCustomHooks({ repository }))).map(({ data }) => data));
  return { gitaly, directory, calls, set, get, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}

function* inPieces(archive: Buffer) {
  yield { repository, data: archive.subarray(0, 700) };
  for (let at = 700; at < archive.length; at += 5000) yield { data: archive.subarray(at, at + 5000) };
}

/** Returns an entry; `type` is the flag of the header. */
function entry(name: string, content = '', type = '0', link = ''): Buffer {
  const size = content.length;
  const header = tarHeader({ name: Buffer.from(name), type: 'file', mode: 0o755, size, mtime: 0 });
  const last = header.subarray(-512);
  last.write(type, 156);
  last.write(link, 157);
  last.write(`${checksumOf(last).toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.from(content), Buffer.alloc(paddingOf(size))]);
}

/** The lock is a dangling link, which `existsSync` does not find. */
const isLocked = (directory: string) => readdirSync(directory).includes('custom_hooks.lock');

const archiveOf = (...entries: Buffer[]) => Buffer.concat([...entries, END_OF_ARCHIVE]);

/** Returns path, mode and content or target of everything below a directory. */
function treeOf(directory: string): [string, string, string, number][] {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return names.map((name) => {
    const path = join(directory, name);
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o7777).toString(8);
    const seconds = Math.floor(stats.mtimeMs / 1000);
    if (stats.isSymbolicLink()) return [name, 'link', readlinkSync(path), seconds];
    return [name, mode, stats.isFile() ? readFileSync(path, 'utf8') : '', seconds];
  });
}

test('hooks that one repository sends are those that another one receives', async () => {
  await using fixture = await start();
  const { directory, set, get } = fixture;
  const hooks = join(directory, 'custom_hooks');
  mkdirSync(join(hooks, 'pre-receive.d/empty'), { recursive: true });
  writeFileSync(join(hooks, 'update'), '#!/bin/sh\n');
  chmodSync(join(hooks, 'update'), 0o755);
  writeFileSync(join(hooks, `pre-receive.d/${'long'.repeat(50)}`), 'x'.repeat(300_000));
  writeFileSync(join(hooks, 'ümlaut'), '');
  symlinkSync('../update', join(hooks, 'pre-receive.d/link'));
  symlinkSync(`/${'far/'.repeat(60)}away`, join(hooks, 'far'));
  for (const name of ['update', 'far', 'pre-receive.d/empty', 'pre-receive.d'])
    lutimesSync(join(hooks, name), 1_600_000_000, 1_600_000_000);
  const before = treeOf(hooks);

  const archive = await get();
  execFileSync('tar', ['-tf', '-'], { input: archive });
  await set(archiveOf());
  assert.deepEqual(treeOf(hooks), []);
  await set(archive);

  const modeless = (tree: typeof before) => tree.map(([name, , ...facts]) => [name, ...facts]);
  assert.deepEqual(modeless(treeOf(hooks)), modeless(before));
  assert.equal(lstatSync(join(hooks, 'update')).mode & 0o777, 0o755);
  assert.deepEqual(await get(), archive);
  assert.equal(isLocked(directory), false);
});

test('an archive of the tar program is unpacked as tar does', async () => {
  await using fixture = await start();
  const { gitaly, directory, set } = fixture;
  const source = join(gitaly.directory, 'source');
  mkdirSync(join(source, 'custom_hooks/a'), { recursive: true });
  writeFileSync(join(source, 'custom_hooks/a/hook'), 'content', { mode: 0o755 });
  execFileSync('ln', [join(source, 'custom_hooks/a/hook'), join(source, 'custom_hooks/same')]);
  writeFileSync(join(source, 'other'), 'not wanted');
  const archive = execFileSync('tar', ['-C', source, '-cf', '-', 'other', 'custom_hooks']);

  await set(archive);

  assert.deepEqual(treeOf(join(directory, 'custom_hooks')), treeOf(join(source, 'custom_hooks')));
});

test('hooks whose names are not UTF-8 are received', async () => {
  await using fixture = await start();
  const { gitaly, directory, set, get } = fixture;
  const source = join(gitaly.directory, 'source');
  const below = (name: string) => Buffer.from(`${source}/custom_hooks/${name}`, 'latin1');
  mkdirSync(below('caf\xe9.d'), { recursive: true });
  writeFileSync(below('caf\xe9.d/\xff'), 'content', { mode: 0o755 });
  linkSync(below('caf\xe9.d/\xff'), below('\xfe'));
  symlinkSync(Buffer.from('caf\xe9.d', 'latin1'), below('\xfd'));
  const listOf = (parent: string) =>
    execFileSync('find', ['custom_hooks', '-printf', '%p %y %m %l.\\n'], { cwd: parent, encoding: 'latin1' })
      .trim()
      .split('\n')
      .sort();

  await set(execFileSync('tar', ['-C', source, '-cf', '-', 'custom_hooks']));
  const received = listOf(directory);
  await set(await get());

  assert.deepEqual(received, listOf(source));
  assert.equal(received.length, 5);
  assert.deepEqual(listOf(directory), received);
});

test('a repository without hooks sends nothing, and both older names work', async () => {
  await using fixture = await start();
  const { directory, calls, get } = fixture;
  assert.equal((await get()).length, 0);

  const archive = archiveOf(entry('custom_hooks/update', 'x'));
  await calls.restoreCustomHooks(inPieces(archive));

  assert.equal(readFileSync(join(directory, 'custom_hooks/update'), 'utf8'), 'x');
  const sent = await Array.fromAsync(calls.backupCustomHooks({ repository }));
  assert.deepEqual(Buffer.concat(sent.map(({ data }) => data)), await get());
});

test('an empty stream removes all hooks', async () => {
  await using fixture = await start();
  const { directory, calls, set } = fixture;
  await set(archiveOf(entry('custom_hooks/update', 'x')));

  await calls.setCustomHooks([{ repository }]);

  assert.deepEqual(treeOf(join(directory, 'custom_hooks')), []);
  assert.equal(lstatSync(join(directory, 'custom_hooks')).mode & 0o777, 0o700);
});

describe('hostile archives leave the old hooks, and change nothing outside', () => {
  const TAR_FAILED =
    'setting custom hooks: extracting hooks: waiting for tar command completion: exit status 2';
  const large = 'x'.repeat(100);
  const hostile: Record<string, { archive: Buffer; message?: string | RegExp }> = {
    'two dots': { archive: archiveOf(entry('custom_hooks/../../evil', 'x')) },
    'a link as a directory': {
      archive: archiveOf(entry('custom_hooks/l', '', '2', '../..'), entry('custom_hooks/l/evil', 'x')),
    },
    'an absolute link as a directory': {
      archive: archiveOf(entry('custom_hooks/l', '', '2', '/tmp'), entry('custom_hooks/l/evil', 'x')),
    },
    'a link as the top': {
      archive: archiveOf(entry('custom_hooks', '', '2', '..'), entry('custom_hooks/evil', 'x')),
    },
    'a hard link to a file outside': { archive: archiveOf(entry('custom_hooks/l', '', '1', '../config')) },
    'a hard link through a link': {
      archive: archiveOf(
        entry('custom_hooks/l', '', '2', '/etc'),
        entry('custom_hooks/h', '', '1', 'custom_hooks/l/passwd'),
      ),
    },
    'a device': { archive: archiveOf(entry('custom_hooks/d', '', '3')) },
    'a pipe': { archive: archiveOf(entry('custom_hooks/p', '', '6')) },
    'a path that is too long': { archive: archiveOf(entry(`custom_hooks/${'x/'.repeat(3000)}y`, 'x')) },
    'no archive': { archive: Buffer.from('this is no tar'.repeat(100)) },
    'an archive that breaks off': { archive: entry('custom_hooks/update', large).subarray(0, 600) },
    'too many entries': {
      archive: archiveOf(...Array.from({ length: 10_001 }, (_, n) => entry(`other/${n}`))),
      message: 'setting custom hooks: extracting hooks: archive is too large',
    },
  };
  for (const [name, { archive, message = TAR_FAILED }] of Object.entries(hostile)) {
    test(name, async () => {
      await using fixture = await start();
      const { gitaly, directory, set } = fixture;
      await set(archiveOf(entry('custom_hooks/old', 'old')));
      const before = treeOf(directory);
      const outside = readdirSync(gitaly.storagePath()).sort();

      await assert.rejects(set(archive), { message });

      assert.deepEqual(treeOf(directory), before);
      assert.deepEqual(readdirSync(gitaly.storagePath()).sort(), outside);
      assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
      assert.equal(existsSync('/tmp/evil'), false);
    });
  }
});

test('a link in the place of a file is replaced, not followed', async () => {
  await using fixture = await start();
  const { directory, set } = fixture;
  const config = readFileSync(join(directory, 'config'), 'utf8');
  const target = join(directory, 'config');

  await set(archiveOf(entry('custom_hooks/l', '', '2', target), entry('custom_hooks/l', 'new')));

  assert.equal(readFileSync(join(directory, 'custom_hooks/l'), 'utf8'), 'new');
  assert.equal(readFileSync(target, 'utf8'), config);
});

test('a client that leaves in the middle changes nothing and leaves nothing', async () => {
  await using fixture = await start();
  const { gitaly, directory, calls, set } = fixture;
  await set(archiveOf(entry('custom_hooks/old', 'old')));
  const before = treeOf(directory);
  const leaving = new AbortController();
  async function* half() {
    yield { repository, data: entry('custom_hooks/new', 'new') };
    yield { data: entry('custom_hooks/half', 'x'.repeat(1000)).subarray(0, 600) };
    await until(() => isLocked(directory), 'the hooks are not locked');
    leaving.abort();
  }

  await assert.rejects(calls.setCustomHooks(half(), { signal: leaving.signal }));

  await until(() => !isLocked(directory), 'the lock is still there');
  assert.deepEqual(treeOf(directory), before);
  assert.deepEqual(readdirSync(join(gitaly.storagePath(), '+gitaly/tmp')), []);
});

test('of concurrent calls each one sets all its hooks or reports the lock', async () => {
  await using fixture = await start();
  const { directory, set } = fixture;
  const archive = (number: number) =>
    archiveOf(entry('custom_hooks/a', String(number)), entry('custom_hooks/b', String(number)));

  const results = await Promise.allSettled(Array.from({ length: 6 }, (_, number) => set(archive(number))));

  for (const result of results)
    if (result.status === 'rejected')
      assert.equal(result.reason.message, 'setting custom hooks: locking hooks: file already locked');
  assert.ok(results.some(({ status }) => status === 'fulfilled'));
  const [a, b] = ['a', 'b'].map((name) => readFileSync(join(directory, 'custom_hooks', name), 'utf8'));
  assert.equal(a, b);
});

test('the nodes of a cluster vote on the paths, modes and contents', async () => {
  const { hashTree } = await import('#domain/custom-hooks/hash-tree');
  await using fixture = await start();
  const { directory, set } = fixture;
  const hash = async () => (await hashTree(join(directory, 'custom_hooks'))).toString('hex');
  const hashes = new Set<string>();
  for (const entries of [
    [entry('custom_hooks/a', 'x')],
    [entry('custom_hooks/b', 'x')],
    [entry('custom_hooks/b', 'y')],
    [entry('custom_hooks/b', '', '2', 'y')],
    [entry('custom_hooks/b/', '', '5')],
  ]) {
    await set(archiveOf(...entries));
    hashes.add(await hash());
  }
  assert.equal(hashes.size, 5);
  const again = await hash();
  await set(archiveOf(entry('custom_hooks/b/', '', '5')));
  assert.equal(await hash(), again);
});

// Go sorts names by their bytes, in which U+1F600 comes after U+FF5E.
test('the vote has the names in the order of their bytes', async () => {
  const { hashTree } = await import('#domain/custom-hooks/hash-tree');
  await using fixture = await start();
  const hooks = join(fixture.directory, 'custom_hooks');
  await fixture.set(archiveOf(entry('custom_hooks/\u{1f600}', '1'), entry('custom_hooks/\uff5e', '2')));
  const mode = (path: string, type: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE((lstatSync(path).mode & 0o777) + type);
    return bytes;
  };
  const expected = createHash('sha1').update('.').update(mode(hooks, 0x80000000));
  for (const name of execFileSync('ls', { cwd: hooks, env: { LC_ALL: 'C' }, encoding: 'utf8' }).split(/\n/)) {
    if (name === '') continue;
    const path = join(hooks, name);
    expected.update(name).update(mode(path, 0)).update(readFileSync(path));
  }

  assert.deepEqual(await hashTree(hooks), expected.digest());
});
