import assert from 'node:assert/strict';
import { test } from 'node:test';
import { outputSync } from '#testkit/run-program-sync';
import { GetArchiveRequest_Format as Format } from '#wire/gen/repository_pb';
import { LfsSite, pointerText, pointerTo } from './lfs-site.ts';

const LARGE = Buffer.from('a large file\n'.repeat(200_000));
const ATTRIBUTES = '*.bin filter=lfs diff=lfs merge=lfs -text\n';

test('archives have the files of the store instead of their pointers, also those of forks', async () => {
  await using site = await LfsSite.open();
  const repository = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  await site.store(LARGE);
  const large = pointerText(pointerTo(LARGE));
  await repository.commit({
    files: { '.gitattributes': ATTRIBUTES, 'large.bin': large, 'other.txt': large },
    message: 'Files',
  });
  const { connection } = site.gitaly;
  const { Repository } = await import('#client/repository/repository');
  await new Repository(connection, { path: 'team/a.git' }).fork('team/fork.git');
  const read = async (relativePath: string, name: string, includeLfsBlobs = true): Promise<Buffer> => {
    const target = { storageName: 'default', relativePath };
    const request = {
      repository: target,
      commitId: 'main',
      prefix: 'p',
      format: Format.TAR,
      includeLfsBlobs,
    };
    const messages = await Array.fromAsync(connection.repository.getArchive(request));
    const input = Buffer.concat(messages.map(({ data }) => data));
    return outputSync('tar', ['-xOf', '-', `p/${name}`], { input });
  };

  for (const path of ['team/a.git', 'team/fork.git'])
    assert.ok((await read(path, 'large.bin')).equals(LARGE), path);
  assert.equal((await read('team/a.git', 'other.txt')).toString(), large, 'no attribute');
  assert.equal((await read('team/a.git', 'large.bin', false)).toString(), large);
});
