import assert from 'node:assert/strict';
import { chownSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { Page, Reader } from './reader.ts';

/** The user `nobody`, as whom root follows the page. */
const NOBODY = 65_534;
const PORTS = ['8443', '8081', '9237', '8080', '2222'];
/** Directories that the package and the unit make. */
const FOLDERS = ['etc/gitaly-ts', 'var/lib', 'var/log/gitaly-ts', 'var/backups/gitaly-ts'];

/**
 * Follows docs/team-server.md as a user without privileges, and checks what the commands print.
 *
 * @param program the installed `gitaly-ts`; default: that of this clone.
 */
export async function followTeamServer(program?: string): Promise<void> {
  const user = process.getuid?.() === 0 ? NOBODY : undefined;
  const ports = await Promise.all(PORTS.map(async (port) => [port, String(await freePort())] as const));
  await using someone = new Reader(
    (directory) => ({
      ...Object.fromEntries(['/etc/', '/var/'].map((path) => [path, `${directory}${path}`])),
      ...Object.fromEntries(ports),
    }),
    user,
  );
  if (program !== undefined) someone.add('gitaly-ts', program);
  someone.introduce();
  for (const folder of FOLDERS) makeFolders(someone.directory, folder.split('/'), user);

  const output = await someone.follow(new Page('docs/team-server.md'));
  await someone.lose('up --config', 'SIGTERM');
  await someone.lose('-drill', 'SIGTERM');

  assert.match(output, /up\.toml is valid\n/);
  assert.match(output, /, 0 errors$/m, 'doctor');
  assert.match(output, /You may read this repository, but not push to it\./);
  assert.match(output, /main: rule 1 of "protected" of the repository does not allow bob to update it/);
  assert.match(output, /^First$/m, 'the restored repository');
  assert.match(output, /^gitaly_ts_storage_available_bytes/m);
  const log = readFileSync(join(someone.directory, 'var/log/gitaly-ts/access.log'), 'utf8');
  const records = log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  const pushes = records.filter(({ operation }) => operation === 'push');
  assert.ok(pushes.some(({ outcome, user: who }) => outcome === 'ok' && who === 'ann'));
  assert.ok(pushes.some(({ outcome, user: who }) => outcome === 'refused' && who === 'ci'));
  assert.ok(
    pushes.some(
      ({ credential, outcome, user: who }) => outcome === 'refused' && who === 'bob' && credential === 'key',
    ),
  );
}

function makeFolders(directory: string, names: readonly string[], user: number | undefined): void {
  let path = directory;
  for (const name of names) {
    path = join(path, name);
    mkdirSync(path, { recursive: true });
    if (user !== undefined) chownSync(path, user, user);
  }
}
