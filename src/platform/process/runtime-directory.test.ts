import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { ownerOf, ownerSuffix, ownIdentity } from '#base/process-identity';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { createRuntimeDirectory } from './runtime-directory.ts';

function scratch(): { path: string } & Disposable {
  const path = makeScratchDirectory('rt');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('the runtime directory is named after the process, private, and has one for sockets', async () => {
  using parent = scratch();

  const directory = await createRuntimeDirectory({ parent: parent.path });

  assert.equal(directory.path, join(parent.path, `gitaly-${process.pid}`));
  assert.equal(directory.internalSocket, join(directory.path, 'sock.d/intern'));
  assert.equal(statSync(directory.path).mode & 0o777, 0o700);
  assert.equal(statSync(directory.socketDirectory).mode & 0o777, 0o700);
  assert.deepEqual(readdirSync(directory.socketDirectory), []);
  directory.remove();
  assert.deepEqual(readdirSync(parent.path), []);
});

test('without a parent the runtime directory is a temporary one', async () => {
  const directory = await createRuntimeDirectory({ parent: undefined });

  assert.equal(dirname(directory.path), tmpdir());
  assert.equal(ownerOf(directory.path), 'running');
  assert.equal(statSync(directory.path).mode & 0o777, 0o700);
  directory.remove();
  assert.equal(existsSync(directory.path), false);
});

/** Sets `TMPDIR` to an empty directory. */
function temporaryPlace(): { path: string } & Disposable {
  const before = process.env.TMPDIR;
  const { path } = scratch();
  process.env.TMPDIR = path;
  return {
    path,
    [Symbol.dispose]() {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      rmSync(path, { recursive: true, force: true });
    },
  };
}

test('temporary ones of dead processes are removed; those that may be in use and others stay', async () => {
  using place = temporaryPlace();
  const { pid, startTime } = ownIdentity();
  const own = ownerSuffix();
  const dead = own.replace(`.${pid}.`, `.${2 ** 22 + 1}.`); // above the highest pid that Linux gives
  const reused = own.replace(startTime, '1');
  const elsewhere = dead.replace(/^\.\w{8}/, '.00000000');
  const stay = [`gitaly-bbbbbb${own}`, `gitaly-cccccc${elsewhere}`, 'gitaly-dddddd', `other${dead}`];
  for (const name of [`gitaly-aaaaaa${dead}`, `gitaly-eeeeee${reused}`, ...stay])
    mkdirSync(join(place.path, name, 'sock.d'), { recursive: true });
  writeFileSync(join(place.path, `gitaly-ffffff${dead}`), '');

  const directory = await createRuntimeDirectory({ parent: undefined });
  directory.remove();

  assert.deepEqual(readdirSync(place.path).sort(), [...stay, `gitaly-ffffff${dead}`].sort());
});

test('the temporary one of a killed server is removed by the next', async () => {
  using place = temporaryPlace();
  const code = `import { createRuntimeDirectory } from '#platform/process/runtime-directory';
    await createRuntimeDirectory({ parent: undefined });
    process.kill(process.pid, 'SIGKILL');`;

  const { signal } = spawnSync(
    process.execPath,
    ['--conditions=source', '--input-type=module', '--eval', code],
    { cwd: import.meta.dirname },
  );
  assert.equal(signal, 'SIGKILL');
  const [left = ''] = readdirSync(place.path);
  assert.equal(ownerOf(left), 'dead');

  const directory = await createRuntimeDirectory({ parent: undefined });
  assert.deepEqual(readdirSync(place.path), [basename(directory.path)]);
  directory.remove();
});

test('temporary ones of other users stay', {
  skip: process.getuid?.() !== 0 && 'needs root',
}, async () => {
  using place = temporaryPlace();
  const name = `gitaly-aaaaaa${ownerSuffix().replace(`.${process.pid}.`, `.${2 ** 22 + 1}.`)}`;
  mkdirSync(join(place.path, name));
  chownSync(join(place.path, name), 65534, 65534);

  const directory = await createRuntimeDirectory({ parent: undefined });
  directory.remove();

  assert.deepEqual(readdirSync(place.path), [name]);
});

test('directories of dead processes are removed; those of running ones and other entries stay', async () => {
  using parent = scratch();
  const dead = 2 ** 22 + 1; // above the highest pid that Linux gives
  for (const name of [
    `gitaly-${dead}`,
    'gitaly-0',
    `gitaly-${process.ppid}`,
    `gitaly-${process.pid}`,
    'backup',
  ]) {
    mkdirSync(join(parent.path, name, 'sock.d'), { recursive: true });
  }
  writeFileSync(join(parent.path, 'gitaly-7x'), '');
  const leftAlone: string[] = [];

  const directory = await createRuntimeDirectory({
    parent: parent.path,
    onLeftAlone: (path) => leftAlone.push(path),
  });

  assert.deepEqual(
    readdirSync(parent.path).sort(),
    ['backup', 'gitaly-7x', `gitaly-${process.pid}`, `gitaly-${process.ppid}`].sort(),
  );
  assert.deepEqual(leftAlone.sort(), [join(parent.path, 'backup'), join(parent.path, 'gitaly-7x')]);
  directory.remove();
});

test('a path too long for sockets is refused with advice, and nothing is left behind', async () => {
  using parent = scratch();
  const deep = join(parent.path, 'x'.repeat(100));
  mkdirSync(deep);

  await assert.rejects(createRuntimeDirectory({ parent: deep }), {
    message:
      'setup runtime directory: failed creating internal test socket: invalid argument: ' +
      "your socket path is likely too long, please change Gitaly's runtime directory",
  });
  assert.deepEqual(readdirSync(deep), []);
});

test('a server can listen on the internal socket', async () => {
  using parent = scratch();
  const directory = await createRuntimeDirectory({ parent: parent.path });
  const server = createServer();

  await new Promise<void>((resolve) => server.listen(directory.internalSocket, resolve));

  assert.ok(statSync(directory.internalSocket).isSocket());
  await new Promise((resolve) => server.close(resolve));
  directory.remove();
});
