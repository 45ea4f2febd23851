import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { settingsMarker } from '#archive/publish/marks';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { startArchived } from './archived-server.ts';

test('what a process of a killed server changes after the first look is archived', async (context) => {
  const directory = makeScratchDirectory('arm');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(join(directory, 'default'), { recursive: true });
  const url = pathToFileURL(join(directory, 'bucket')).href;
  const target = { storage: 'default', path: 'a.git' };
  const own = archiveDirectory({ path: join(directory, 'default') }, url);
  {
    await using archived = await startArchived({ directory, url });
    const repository = { storageName: 'default', relativePath: 'a.git' };
    await archived.connection.repository.createRepository({ repository });
    await archived.archive.settle('default');
  }
  settingsMarker(own)('a.git', 'begin'); // by the server that is killed

  await using archived = await startArchived({ directory, url });
  const { archive, storage } = archived;
  const changes = async (): Promise<number> => {
    const states = await Array.fromAsync(archive.log(target));
    return states.filter(({ settings }) => settings.includes('config')).length;
  };
  await archive.settle('default');
  const before = await changes();
  appendFileSync(join(storage, 'a.git/config'), '[gitlab]\n\tfullpath = late\n');

  await until(async () => (await changes()) > before, 'the second look');
});
