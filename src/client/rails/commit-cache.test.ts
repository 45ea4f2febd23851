import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrangeServices } from '#testkit/clients/rails-fixture';
import { CommitService } from './index.ts';

test('a request reads a commit once by its id, and by a name only where that is allowed', async () => {
  await using arranged = await arrangeServices();
  const { client, git, methods, name } = arranged;
  const service = new CommitService(client, name);
  const [main, topic] = [await git('rev-parse', 'main'), await git('rev-parse', 'topic')];
  const idOf = async (revision: string) => (await service.findCommit(revision))?.id;
  const calls = () => methods().length;

  await client.run(async () => {
    assert.deepEqual([await idOf('main'), await idOf(main), await idOf(main)], [main, main, main]);
    assert.equal(calls(), 1);
    await git('update-ref', 'refs/heads/main', topic);
    assert.equal(await idOf('main'), topic, 'the name leads elsewhere now');
    assert.equal(calls(), 1);
    await client.allowRefNameCaching(async () => {
      assert.deepEqual([await idOf('none'), await idOf('none')], [undefined, undefined]);
      assert.deepEqual([await idOf('main'), await idOf('main')], [topic, topic]);
    });
    assert.equal(calls(), 2);
    const other = new CommitService(client, { ...name, relativePath: 'other.git' });
    await assert.rejects(other.findCommit(main), { code: 'NOT_FOUND' });
    assert.equal(client.getRequestCount(), 5);
  });
  calls();
  await client.run(() => idOf(main));
  await idOf(main);
  await idOf(main);
  assert.equal(calls(), 3, 'nothing is kept for later, or outside of a request');
});
