import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { readCommits } from './read-commits.ts';

const MAILMAP = 'Ann <ann@x> <a@x>\n';

/** The shared process reads a few, a dedicated process the rest. */
for (const commits of [3, 200]) {
  test(`of ${commits} listed commits, a missing one is left out only where that is allowed`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');
    const stream = Array.from(
      { length: commits },
      (_, at) => `commit refs/heads/main\ncommitter A <a@x> ${at} +0000\ndata 1\nx\n`,
    );
    stream.push(`M 100644 inline .mailmap\ndata ${MAILMAP.length}\n${MAILMAP}`);
    gitOutput(repository.path, ['fast-import', '--quiet'], stream.join(''));
    const oids = gitOutput(repository.path, ['rev-list', 'main']).split('\n');
    const gone = '1'.repeat(40);
    const source = async function* () {
      yield [...oids, gone].map((oid) => ({ oid }));
    };

    for (const mailmap of [true, false]) {
      const options = { mailmap, mayVanish: true };
      const read = await Array.fromAsync(readCommits(repository.objects, source(), options));
      const lines = read.flat().map(({ commit: { parsed } }) => `${parsed.oid} ${parsed.author?.name}`);
      const format = `--format=%H %${mailmap ? 'aN' : 'an'}`;
      assert.equal(lines.join('\n'), gitOutput(repository.path, ['log', format, 'main']));
    }
    const refusing = readCommits(repository.objects, source(), { mailmap: false });
    await assert.rejects(Array.fromAsync(refusing), { message: 'object not found' });
  });
}
