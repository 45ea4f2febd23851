import { createHash } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { commitFiles } from '#client/index';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { USER } from '#testkit/user';
import { type OpenedConsole, openConsole } from './open-console.ts';

/** Address of the page. */
export const PATH = '/repository/team/a.git/-/archived';
const basic = (login: string): Record<string, string> => ({ authorization: `Basic ${btoa(login)}` });
export const BOSS = basic('boss:boss');
export const ANN = basic('ann:ann');

/** Reports whether all changes of the repository are archived. */
export async function isArchived(console: OpenedConsole): Promise<boolean> {
  const { archives } = await console.json('/overview', BOSS);
  return archives[0].waitingChanges === 0 && (await console.json(PATH, BOSS)).generations?.length >= 2;
}

export const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

/** A server whose storage is archived, with a repository of one commit. */
export async function openArchived(content = 'text\n') {
  const directory = makeScratchDirectory('console-archive');
  const authFile = join(directory, 'users');
  writeFileSync(authFile, `boss admin sha256:${sha256('boss')}\nann write sha256:${sha256('ann')} team\n`);
  const archive = pathToFileURL(join(directory, 'bucket')).href;
  const console = await openConsole({
    authFile,
    config: (root) => ({
      storage: [{ name: 'default', path: join(root, 'default'), archive }],
      lfs: { url: pathToFileURL(join(directory, 'lfs')).href, refuse_missing: false },
    }),
  });
  const { connection } = console.gitaly;
  const repository = { storageName: 'default', relativePath: 'team/a.git', glRepository: 'p' };
  await connection.repository.createRepository({ repository, defaultBranch: Buffer.from('main') });
  const commit = { repository, user: USER, branchName: Buffer.from('main'), commitMessage: Buffer.from('c') };
  await commitFiles(connection, commit, [{ type: 'create', path: 'file', content }]);
  return {
    console,
    [Symbol.asyncDispose]: async () => {
      await console[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}
