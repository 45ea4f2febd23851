/** A copy of an archive, made while its server writes, and a backup of the copy. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { createBackup, restoreBackup } from '#cli/backup';
import { addArchiveCommands } from '#cli/commands/archive-commands';
import type { RepoProcess } from '#cli/commands/repo-commands';
import { commitFiles } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { type ArchivedServer, startArchived } from './archived-server.ts';

const directory = makeScratchDirectory('archive-copy');
after(() => rmSync(directory, { recursive: true, force: true }));
const bucket = join(directory, 'bucket');
const url = pathToFileURL(bucket).href;

async function restore(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const process: RepoProcess = { stdin, stdout, stderr };
  const program = new Command('gitaly-ts').exitOverride();
  addArchiveCommands(program, process);
  await program.parseAsync(['archive', 'restore', ...args], { from: 'user' });
  const [out = '', err = ''] = await Promise.all([stdout, stderr].map((stream) => text(stream.end())));
  return { code: Number(process.exitCode), stdout: out, stderr: err };
}

function at(relativePath: string) {
  return { storageName: 'default', relativePath, glRepository: relativePath };
}

async function commit({ connection }: ArchivedServer, repository: ReturnType<typeof at>, path: string) {
  const fields = {
    repository,
    user: USER,
    branchName: Buffer.from('main'),
    commitMessage: Buffer.from(path),
  };
  await commitFiles(connection, fields, [{ type: 'create', path, content: path }]);
}

function mainOf(storage: string, path: string): string {
  return gitOutput(join(storage, path), ['rev-parse', 'main']);
}

/** Returns all objects of the bucket with their times. */
function objects(): string[] {
  const all = readdirSync(bucket, { recursive: true, encoding: 'utf8' }).sort();
  return all.map((name) => `${name} ${statSync(join(bucket, name)).mtimeMs}`);
}

test('a backup is made from an archive that a server writes, and its bucket is only read', async () => {
  const copy = join(directory, 'copy');
  let tip = '';
  {
    await using archived = await startArchived({ directory });
    const [quiet, busy] = [at('team/quiet.git'), at('busy.git')];
    for (const repository of [quiet, busy]) {
      await archived.connection.repository.createRepository({ repository });
      await commit(archived, repository, 'first');
    }
    await archived.archive.settle('default');
    tip = mainOf(archived.storage, quiet.relativePath);
    let isOver = false;
    const writing = (async () => {
      for (let number = 0; !isOver; number++) await commit(archived, busy, String(number));
    })();

    const restored = await restore(url, '--to', copy);

    isOver = true;
    await writing;
    assert.deepEqual(
      [restored.code, restored.stdout],
      [0, 'restored 2 repositories, 0 existed\n'],
      restored.stderr,
    );
    await commit(archived, quiet, 'later');
    await archived.archive.settle('default');
    const [status] = archived.archive.status('default');
    assert.deepEqual([status?.state, status?.problem], ['live', '']);
  }
  assert.equal(mainOf(join(copy, 'repositories'), 'team/quiet.git'), tip);

  const before = objects();
  const again = await restore(url, '--to', join(directory, 'again'));
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(objects(), before);

  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const [backups, restored] = [join(directory, 'backups'), join(directory, 'restored')];
  const options = { storage: 'default', id: '', jobs: 2 };
  const created = { ...options, to: backups, incremental: false, verify: true };
  assert.equal(await createBackup(copy, { ...created, id: 'one', lfs: undefined }, { stdout, stderr }), 0);
  const all = { ...options, to: restored, replace: false, repository: '', lfs: undefined };
  assert.equal(await restoreBackup(backups, all, { stdout, stderr }), 0);
  assert.equal(mainOf(join(restored, 'repositories'), 'team/quiet.git'), tip);
});

test('a copy needs an archive, and a directory in which no server runs', async () => {
  const missing = join(directory, 'missing');
  const none = await restore(pathToFileURL(missing).href, '--to', join(directory, 'none'));
  assert.deepEqual([none.code, /there is no archive at file:/.test(none.stderr)], [1, true], none.stderr);

  const other = join(directory, 'other');
  mkdirSync(other);
  await using archived = await startArchived({ directory: other });
  const refused = await restore(url, '--to', archived.server.addresses.unix ?? '');
  assert.deepEqual([refused.code, /a server runs on/.test(refused.stderr)], [2, true], refused.stderr);
});
