import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { repetitions } from '#testkit/soak';
import { testSeed } from '#testkit/test-seed';
import { startArchived } from './archived-server.ts';
import { checkWhole, statesIn } from './check-archive.ts';
import { PATHS, RandomChanges } from './random-changes.ts';
import { type RepositoryState, stateOf } from './repository-state.ts';

const directory = makeScratchDirectory('ar');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const seed = testSeed('ARCHIVE_SEED');
/** Moments of each case at which the storage is compared, and most changes between two of them. */
const MOMENTS = repetitions('ARCHIVE_MOMENTS', { short: 2, long: 25 });
const MAX_CHANGES = 80;

interface Moment {
  readonly timeMs: number;
  readonly states: ReadonlyMap<string, RepositoryState>;
}

const FORMATS = ['sha1', 'sha256'] as const;
const CASES = referenceBackends().flatMap((backend) => FORMATS.map((format) => ({ backend, format })));
/** A short run tries one case, which the seed chooses. */
const CHOSEN = MOMENTS > 2 ? CASES : [CASES[seed % CASES.length]];

for (const chosen of CHOSEN) {
  const { backend = 'files', format = 'sha1' } = chosen ?? {};
  const formats = `${backend}, ${format}`;
  test(`a storage is restored to each moment of a random history: ${formats}`, async (context) => {
    context.diagnostic(`ARCHIVE_SEED=${seed}`);
    const place = join(directory, `${backend.at(0)}${format.slice(3)}`);
    mkdirSync(place);
    const git = { config: [{ key: 'init.defaultRefFormat', value: backend }] };
    await using archived = await startArchived({ directory: place, config: { git } });
    const { archive, connection, server, storage } = archived;
    const random = seededRandom(seed);
    const address = server.addresses.unix ?? '';
    const changes = new RandomChanges({ connection, address, random, objectFormat: format });

    const moments: Moment[] = [];
    while (moments.length < MOMENTS) {
      for (let left = Math.ceil(random() * MAX_CHANGES); left > 0; left--) await changes.next();
      await archive.settle('default');
      moments.push({ timeMs: Date.now(), states: statesIn(storage) });
    }
    context.diagnostic(JSON.stringify(Object.fromEntries(changes.made)));
    const restores = moments.reduce((sum, { states }) => sum + states.size, 0);
    context.diagnostic(`${moments.length} moments, ${restores} restores`);

    for (const [number, { states, timeMs }] of moments.entries()) {
      for (const [path, expected] of states) {
        const to = `restored/${number}/${path}`;
        await archive.restore({ storage: 'default', path }, { at: { timeMs }, to, signal });
        assert.deepEqual(stateOf(join(storage, to)), expected, `${path} at moment ${number}`);
      }
      for (const path of PATHS.filter((each) => !states.has(each)))
        await assert.rejects(
          archive.restore({ storage: 'default', path }, { at: { timeMs }, to: 'absent.git', signal }),
          { code: 'NOT_FOUND' },
          `${path} at moment ${number}`,
        );
    }
    const [status] = archive.status('default');
    assert.deepEqual([status?.failed, status?.problem], [[], '']);
    await checkWhole(archived);
  });
}
