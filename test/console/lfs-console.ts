import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { lfsPointer } from '#testkit/repositories/lfs-pointer';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { openConsole } from './open-console.ts';

/** Address of the repository's pages in the console. */
export const PATH = '/repository/team/a.git/-';
/** The file that the server has. */
export const CONTENT = Buffer.from('the film');
/** Number of pointers to files that it does not have. */
export const FILES = 130;

export const oidOf = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');
export const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });

/** A repository with pointers, of which the server has one file. */
export async function openLfs() {
  const directory = makeScratchDirectory('console-lfs');
  const authFile = join(directory, 'users');
  writeFileSync(
    authFile,
    `ann write sha256:${oidOf('secret')} team\nbob read sha256:${oidOf('other')} elsewhere\n`,
  );
  const lfs = pathToFileURL(join(directory, 'store')).href;
  const console = await openConsole({ authFile, lfs, hasApi: true });
  const repository = await console.gitaly.createRepository({ relativePath: 'team/a.git', commits: 1 });
  const film = { oid: oidOf(CONTENT), size: CONTENT.length };
  const missing = Array.from({ length: FILES }, (_, index) => [
    `many/${String(index).padStart(3, '0')}`,
    lfsPointer({ oid: oidOf(`${index}`), size: index + 1 }),
  ]);
  await repository.commit({
    files: {
      ...Object.fromEntries(missing),
      'film.mp4': lfsPointer(film),
      'films/the same.mp4': lfsPointer(film),
      'text.txt': 'text\n',
    },
  });
  const stored = await fetch(`${console.gateway.url}/team/a.git/info/lfs/objects/${film.oid}`, {
    method: 'PUT',
    headers: basic('ann:secret'),
    body: CONTENT,
  });
  assert.equal(stored.status, 200, await stored.text());
  return {
    console,
    repository,
    film,
    headers: basic('ann:secret'),
    [Symbol.asyncDispose]: async () => {
      await console[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}
