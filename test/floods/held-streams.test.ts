import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startGitaly } from '#testkit/start-gitaly';

/** These calls send 320 MiB; all calls together may hold 256. */
const CALLS = 40;
const MESSAGES = 4;
const REVISION = Buffer.alloc(2 * 1024 * 1024, 'a');

test('ObjectsSize streams share a limit of bytes, which is free again after them', async () => {
  await using gitaly = await startGitaly();
  const repository = await gitaly.createRepository({ relativePath: 'r.git' });
  await repository.commits(1);
  const { objectsSize } = gitaly.connection.repository;
  const { promise: end, resolve: endAll } = Promise.withResolvers<void>();
  async function* requests() {
    yield { repository, revisions: [REVISION] };
    for (let more = 1; more < MESSAGES; more++) yield { revisions: [REVISION] };
    await end;
  }

  const outcomes = Array.from({ length: CALLS }, () =>
    objectsSize(requests()).then(
      () => 'OK',
      ({ code }: { code: string }) => code,
    ),
  );
  const first = await Promise.race(outcomes);
  endAll();
  const all = await Promise.all(outcomes);

  assert.equal(first, 'RESOURCE_EXHAUSTED', 'a call is refused while the others wait');
  assert.ok(
    all.includes('RESOURCE_EXHAUSTED') && all.some((code) => code !== 'RESOURCE_EXHAUSTED'),
    String(all),
  );
  assert.ok((await objectsSize([{ repository, revisions: [Buffer.from('main')] }])).size > 0n);
});
