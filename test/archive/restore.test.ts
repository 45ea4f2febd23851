import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { seededRandom } from '#testkit/repositories/random-history';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { testSeed } from '#testkit/test-seed';
import { startArchived } from './archived-server.ts';
import { statesIn } from './check-archive.ts';
import { createKept, RandomChanges } from './random-changes.ts';

const directory = makeScratchDirectory('ars');
after(() => rmSync(directory, { recursive: true, force: true }));
const { signal } = new AbortController();
const seed = testSeed('ARCHIVE_SEED');
const CHANGES = 60;

/** Makes a directory for a server, and the URL of an archive for several. */
function place(name: string): { readonly directory: string; readonly url: string } {
  const path = join(directory, name);
  mkdirSync(path);
  return { directory: path, url: pathToFileURL(join(directory, 'bucket')).href };
}

test('a storage comes back from the bucket alone, also at an earlier time, and goes on', async (context) => {
  context.diagnostic(`ARCHIVE_SEED=${seed}`);
  const random = seededRandom(seed);
  let earlier = { timeMs: 0, states: new Map<string, object>() };
  let last = new Map<string, object>();
  {
    await using archived = await startArchived(place('a'));
    const { archive, connection, server, storage } = archived;
    const address = server.addresses.unix ?? '';
    const changes = new RandomChanges({ connection, address, random, objectFormat: 'sha1' });
    await createKept(connection);
    for (let count = 0; count < CHANGES; count++) await changes.next();
    await archive.settle('default');
    earlier = { timeMs: Date.now(), states: statesIn(storage) };
    for (let count = 0; count < CHANGES; count++) await changes.next();
    await archive.settle('default');
    last = statesIn(storage);
  }

  {
    await using archived = await startArchived(place('b'));
    const { archive, storage } = archived;
    await archive.settle('default');
    const results = await Array.fromAsync(archive.restoreStorage('default', { signal }));
    assert.deepEqual(
      results.filter(({ result }) => result !== 'restored'),
      [],
    );
    assert.deepEqual(statesIn(storage), last);
    await archive.settle('default');
    const again = await Array.fromAsync(archive.restoreStorage('default', { signal }));
    assert.deepEqual(new Set(again.map(({ result }) => result)), new Set(['exists']));
  }

  await using archived = await startArchived(place('c'));
  const { archive, storage } = archived;
  const { timeMs } = earlier;
  const results = await Array.fromAsync(archive.restoreStorage('default', { timeMs, signal }));
  assert.deepEqual(
    results.filter(({ result }) => result !== 'restored'),
    [],
  );
  assert.deepEqual(statesIn(storage), earlier.states);
});
