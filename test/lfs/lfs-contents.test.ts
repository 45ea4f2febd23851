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

test('the API answers files instead of their pointers, with ranges and in archives', async () => {
  await using site = await LfsSite.open();
  const repository = await site.gitaly.createRepository({ relativePath: 'team/a.git' });
  const { oid } = await site.store(LARGE);
  const [large, missing] = [LARGE, Buffer.from('missing')].map((content) => pointerText(pointerTo(content)));
  await repository.commit({
    files: {
      '.gitattributes': ATTRIBUTES,
      'large.bin': large ?? '',
      'missing.bin': missing ?? '',
      'a.txt': 'text',
    },
    message: 'Files',
  });
  const get = (rest: string, headers: Record<string, string> = {}) =>
    site.send('GET', `${site.gateway.url}/-/api/v1/repositories/team%2Fa/${rest}`, { headers, user: 'bob' });

  const whole = await get('files/large.bin?lfs=resolve');
  assert.deepEqual(
    [whole.status, whole.headers.get('etag'), whole.bytes.equals(LARGE)],
    [200, `"${oid}"`, true],
  );
  const part = await get('files/large.bin?lfs=resolve', { range: 'bytes=100-2000099' });
  assert.deepEqual([part.status, part.bytes.equals(LARGE.subarray(100, 2_000_100))], [206, true]);
  const known = await get('files/large.bin?lfs=resolve', { 'if-none-match': `"${oid}"` });
  assert.deepEqual([known.status, known.bytes.length], [304, 0]);
  assert.equal((await get('files/large.bin')).bytes.toString(), large);
  assert.equal((await get('files/a.txt?lfs=resolve')).bytes.toString(), 'text');
  assert.equal((await get('files/missing.bin?lfs=resolve')).status, 404);
  for (const [query, content] of [
    ['&lfs=resolve', LARGE],
    ['', Buffer.from(large ?? '')],
  ] as const) {
    const input = (await get(`archive?format=tar${query}`)).bytes;
    assert.ok(outputSync('tar', ['-xOf', '-', 'a/large.bin'], { input }).equals(content), query);
  }
});
