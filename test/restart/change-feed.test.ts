import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Connection, dial, watchEvents } from '#client/index';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { until } from '#testkit/until';
import { isAlive } from '#tools/wrapper/find-server';
import { startRestarting } from './restarting.ts';

const repository = { storageName: 'default', relativePath: 'a.git' };
const WRITERS = 4;
/** Writes before, between and after two restarts. */
const WRITES = 100;

// Symptom: both processes used the same numbers, and the new one cut off events of the old one.
test('no change is missing in the feed after restarts under load', { timeout: 300_000 }, async () => {
  await using gitaly = await startRestarting({ grace: '1m', config: '[events]\nenabled = true\n' });
  const { first, directory } = gitaly;
  const git = join(directory, 'default', repository.relativePath);
  await runGit(['init', '-q', '--bare', '-b', 'main', git]);
  const tree = await gitOutput(git, ['mktree']);
  const tip = await gitOutput(git, ['commit-tree', '-m', 'x', tree]);
  const stop = new AbortController();
  let count = 0;
  const writers = Array.from({ length: WRITERS }, async () => {
    const connection = await dial(first.address, { retry: false });
    while (!stop.signal.aborted) {
      const ref = Buffer.from(`refs/heads/${++count}`);
      await connection.repository.writeRef({ repository, ref, revision: Buffer.from(tip) });
    }
    await connection.close();
  });
  const writesMore = async (): Promise<void> => {
    const wanted = count + WRITES;
    await until(() => count >= wanted, 'the writers have stopped');
  };
  for (let restart = 0; restart < 2; restart++) {
    await writesMore();
    const old = gitaly.pid();
    await gitaly.restart();
    await until(() => !isAlive(old), 'the old process does not end', 100_000);
  }
  await writesMore();
  stop.abort();
  await Promise.all(writers);

  const connection = await dial(first.address);
  const names = await reported(connection, count);
  await connection.close();

  const written = await gitOutput(git, ['for-each-ref', '--format=%(refname)']);
  assert.deepEqual(names.sort(), written.split('\n').sort());
  assert.doesNotMatch(first.log(), /could not record a change|an invariant is broken/);
});

/** Returns the names in the first events of references, whose numbers have to increase. */
async function reported(connection: Connection, count: number): Promise<string[]> {
  const names: string[] = [];
  let cursor = 0n;
  for await (const { kind, reference, sequence } of watchEvents(connection, {
    storageName: 'default',
    after: 0n,
    signal: AbortSignal.timeout(60_000),
  })) {
    if (kind === 'compacted') continue;
    assert.ok(sequence > cursor, `event ${sequence} after ${cursor}`);
    cursor = sequence;
    if (kind === 'reference') names.push(reference?.toString() ?? '');
    if (names.length === count) break;
  }
  return names;
}
