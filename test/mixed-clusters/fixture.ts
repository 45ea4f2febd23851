import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { gitOutput } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitHttpServer } from '#testkit/servers/git-http-server';
import type { CallSetting } from '../votes/call-setting.ts';
import { makeRemote, makeVotingRepository } from '../votes/fixture.ts';

/** A repository to copy, and its remote. */
export interface VotingSource extends AsyncDisposable, Pick<CallSetting, 'ids' | 'remoteUrl'> {
  readonly path: string;
  readonly references: string;
}

/** Makes the repository of test/votes in a directory, and serves its remote. */
export async function makeVotingSource(): Promise<VotingSource> {
  await using building = new AsyncDisposableStack();
  const directory = makeScratchDirectory('mixed-source');
  building.defer(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'made.git');
  const ids = makeVotingRepository(path);
  makeRemote(path, join(directory, 'remote.git'));
  const web = building.use(await startGitHttpServer(directory));
  const resources = building.move();
  return {
    path,
    ids,
    remoteUrl: `${web.url}/r/remote.git`,
    references: referencesOf(path),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** Returns HEAD and all references, by line. */
export function referencesOf(path: string): string {
  const head = gitOutput(path, ['symbolic-ref', 'HEAD']);
  return `${head}\n${gitOutput(path, ['for-each-ref', '--format=%(refname) %(objectname) %(symref)'])}`;
}
