import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
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

  assert.match(directory.path, /\/gitaly-[A-Za-z0-9]+$/);
  assert.equal(statSync(directory.path).mode & 0o777, 0o700);
  directory.remove();
  assert.equal(existsSync(directory.path), false);
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
