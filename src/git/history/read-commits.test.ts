import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/init-repository';
import { StorageFixture } from '#testkit/storage-fixture';
import { readCommits } from './read-commits.ts';

/** Few are read by the shared process, the rest by one of their own. */
for (const commits of [3, 200]) {
  test(`of ${commits} listed commits, one that is gone when it is read is left out only where that may be`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    const stream = Array.from(
      { length: commits },
      (_, at) => `commit refs/heads/main\ncommitter A <a@x> ${at} +0000\ndata 1\nx\n`,
    );
    gitOutput(repository.path, ['fast-import', '--quiet'], stream.join(''));
    const oids = gitOutput(repository.path, ['rev-list', 'main']).split('\n');
    const gone = '1'.repeat(40);
    const source = async function* () {
      yield [...oids, gone].map((oid) => ({ oid }));
    };

    const read = await Array.fromAsync(readCommits(repository.objects, source(), { mayVanish: true }));
    assert.deepEqual(
      read.flat().map(({ commit }) => commit.oid),
      oids,
    );
    await assert.rejects(Array.fromAsync(readCommits(repository.objects, source())), { message: 'object not found' });
  });
}
