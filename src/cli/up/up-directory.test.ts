import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { ownIdentity } from '#base/process-identity';
import { never } from '#testkit/until';
import { removeKilledSocketDirectories } from './socket-directory.ts';
import { DirectoryInUseError, openUpDirectory } from './up-directory.ts';

function withTemporaryDirectory(work: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'up-test-'));
    try {
      await work(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
}

test(
  'a directory is created, and afterwards contains only its repositories',
  withTemporaryDirectory(async (directory) => {
    const target = join(directory, 'new/data');
    {
      await using opened = await openUpDirectory(target);
      assert.equal(existsSync(opened.repositories), true);
      assert.equal(existsSync(opened.runtime), true);
    }

    assert.deepEqual(readdirSync(target), ['repositories']);
  }),
);

test(
  'a second start on the same directory names the running process',
  withTemporaryDirectory(async (directory) => {
    await using opened = await openUpDirectory(directory);
    opened.describe('http://127.0.0.1:8080');

    await assert.rejects(openUpDirectory(directory), (error: Error) => {
      assert.ok(error instanceof DirectoryInUseError);
      assert.match(
        error.message,
        new RegExp(`is in use: .* \\(process ${process.pid}, http://127.0.0.1:8080\\)`),
      );
      return true;
    });
  }),
);

test(
  'the lock of a killed process is taken over',
  withTemporaryDirectory(async (directory) => {
    writeFileSync(join(directory, 'up.lock'), '');

    await using opened = await openUpDirectory(directory);

    assert.equal(opened.path, directory);
  }),
);

test(
  'a long directory name works',
  withTemporaryDirectory(async (directory) => {
    const target = join(directory, 'x'.repeat(120));
    let sockets: string;
    {
      await using opened = await openUpDirectory(target);
      sockets = join(opened.socket, '..');
      assert.ok(Buffer.byteLength(opened.socket) < 100);
      await assert.rejects(openUpDirectory(target), DirectoryInUseError);
    }

    assert.equal(existsSync(sockets), false);
  }),
);

/** Sets `TMPDIR` to an empty directory. */
function temporaryPlace(): { path: string } & Disposable {
  const before = process.env.TMPDIR;
  const path = mkdtempSync(join(tmpdir(), 'up-'));
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

/** Opens a directory with a long name in a process, which is killed. Returns its sockets' directory. */
async function killedOn(directory: string): Promise<string> {
  const script = `import { openUpDirectory } from '${import.meta.resolve('./up-directory.ts')}';
    const { socketDirectory } = await openUpDirectory(process.argv[1]);
    console.log(socketDirectory);
    setInterval(() => {}, 1000);`;
  const args = ['--conditions=source', '--input-type=module', '--eval', script, directory];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  return String(line).trim();
}

// It stayed in the temporary directory for ever.
test(
  'a start removes the directories of sockets that killed processes have left, and no other',
  withTemporaryDirectory(async (directory) => {
    using place = temporaryPlace();
    const other = join(place.path, 'gitaly-ts-0123456789ab');
    mkdirSync(other); // without a lock it may be anything
    await using running = await openUpDirectory(join(directory, 'y'.repeat(120)));
    const sockets = await killedOn(join(directory, 'x'.repeat(120)));
    assert.deepEqual(readdirSync(sockets).sort(), ['run', 'up.lock']);

    await using _opened = await openUpDirectory(join(directory, 'short'));

    assert.deepEqual(
      readdirSync(place.path).sort(),
      [other, running.socketDirectory].map((path) => basename(path)).sort(),
    );
    assert.equal(existsSync(running.runtime), true);
  }),
);

// Without attention, a start failed while another one removed what its predecessor had left.
test(
  'a start succeeds while others remove what a killed process left',
  withTemporaryDirectory(async (directory) => {
    using _place = temporaryPlace();
    for (let round = 0; round < 10; round++) {
      const target = join(directory, `${round}`.repeat(120));
      const sockets = await killedOn(target);

      const [opened, ...removals] = await Promise.allSettled([
        openUpDirectory(target),
        ...Array.from({ length: 3 }, () => removeKilledSocketDirectories()),
      ]);

      assert.ok(opened.status === 'fulfilled', String(opened.status === 'rejected' && opened.reason));
      assert.deepEqual(new Set(removals.map(({ status }) => status)), new Set(['fulfilled']));
      assert.equal(opened.value.socketDirectory, sockets);
      assert.deepEqual(readdirSync(sockets).sort(), ['run', 'up.lock']);
      await opened.value[Symbol.asyncDispose]();
    }
  }),
);

test(
  'a start waits for a process that was interrupted while it removes what a killed one left',
  withTemporaryDirectory(async (directory) => {
    using _place = temporaryPlace();
    const target = join(directory, 'x'.repeat(120));
    const sockets = await killedOn(target);
    const { ctimeNs, ino } = lstatSync(join(sockets, 'up.lock'), { bigint: true });
    const claim = join(sockets, `up.lock.${ino}-${ctimeNs}`);
    symlinkSync(JSON.stringify(ownIdentity()), claim);
    let isOver = false;
    const opening = openUpDirectory(target).finally(() => {
      isOver = true;
    });

    await never(() => isOver, 'the end of the start', 1000); // twenty looks take less
    unlinkSync(claim);
    await using opened = await opening;

    assert.equal(opened.socketDirectory, sockets);
  }),
);

test(
  'a directory that cannot be created is refused with advice',
  withTemporaryDirectory(async (directory) => {
    const file = join(directory, 'file');
    writeFileSync(file, '');

    await assert.rejects(
      openUpDirectory(file),
      /^Error: .*file.*\. Choose a directory that you can write to\.$/,
    );
  }),
);

// Born failing: two of them removed the lock of the killed process, the second that of the first.
test(
  'of many starts after a killed process, one gets the directory',
  withTemporaryDirectory(async (directory) => {
    for (let round = 0; round < 20; round++) {
      writeFileSync(join(directory, 'up.lock'), '');

      const starts = await Promise.allSettled(Array.from({ length: 5 }, () => openUpDirectory(directory)));

      const opened = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
      const failures = starts.flatMap((start) => (start.status === 'rejected' ? [start.reason] : []));
      assert.equal(opened.length, 1);
      for (const failure of failures) assert.ok(failure instanceof DirectoryInUseError, String(failure));
      assert.equal(existsSync(opened[0]?.runtime ?? ''), true);
      await opened[0]?.[Symbol.asyncDispose]();
      assert.deepEqual(readdirSync(directory), ['repositories']);
    }
  }),
);

// Born failing: whoever had made it could exchange the sockets of the server.
test(
  'a directory of sockets that other users can change is refused',
  withTemporaryDirectory(async (directory) => {
    const target = join(directory, 'x'.repeat(120));
    let sockets: string;
    {
      await using opened = await openUpDirectory(target);
      sockets = opened.socketDirectory;
    }
    mkdirSync(sockets);
    try {
      chmodSync(sockets, 0o777);
      await assert.rejects(openUpDirectory(target), /other users can change .*: remove it/);
      assert.deepEqual(readdirSync(sockets), []);
    } finally {
      rmSync(sockets, { recursive: true });
    }
  }),
);

// Born failing: the second start waited for ever.
test(
  'a second start does not wait for a process that has stopped',
  withTemporaryDirectory(async (directory) => {
    const script = `require('node:net').createServer().listen(process.argv[1], () => console.log('ready'))`;
    const holder = spawn(process.execPath, ['-e', script, join(directory, 'up.lock')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(holder.stdout, 'data');
      holder.kill('SIGSTOP');
      await assert.rejects(openUpDirectory(directory), DirectoryInUseError);
    } finally {
      holder.kill('SIGKILL');
    }
  }),
);
