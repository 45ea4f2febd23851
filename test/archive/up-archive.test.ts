import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { runGit } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { gitalyTs, startUp } from '../start-up.ts';

const directory = makeScratchDirectory('aru');
after(() => rmSync(directory, { recursive: true, force: true }));

test('up makes no sample repository beside those of an archive, which can be restored instead', async () => {
  const archive = pathToFileURL(join(directory, 'bucket')).href;
  const argsFor = (name: string): string[] => [
    join(directory, name),
    ...['--archive', archive, '--http', '127.0.0.1:0'],
  ];
  const hello = (http: string): Promise<string> => runGit(['ls-remote', `${http}/hello.git`, 'HEAD']);
  let sample = '';
  {
    await using up = await startUp({ args: argsFor('lost') });
    sample = await hello(up.report.http);
    const to = up.report.directory;
    await until(async () => /all changes/.test((await gitalyTs(['archive', 'status', '--to', to])).stdout));
  }
  assert.match(sample, /^[0-9a-f]{40}\tHEAD/);

  await using up = await startUp({ args: argsFor('new') });
  await assert.rejects(hello(up.report.http));
  await gitalyTs(['archive', 'restore', '--to', up.report.directory]);

  assert.equal(await hello(up.report.http), sample);
});
