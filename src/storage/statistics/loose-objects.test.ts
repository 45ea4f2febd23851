import assert from 'node:assert/strict';
import { readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { DirectoryMemory } from './directory-memory.ts';
import { countLooseObjects, type LooseObjectShard, STALE_OBJECT_AGE_MS } from './loose-objects.ts';

/** Longer than a tick of the clock that files get their times from. */
const TICK_MS = 20;
const DAY_MS = 24 * 60 * 60 * 1000;
const settled = (): number => Date.now() + 60_000;

test('a remembered count is the real one after every kind of change, and as objects get older', async () => {
  await using fixture = await StorageFixture.create();
  const { path } = fixture.init('x.git', { commits: 5 });
  const shards = new DirectoryMemory<LooseObjectShard>(settled);
  const blob = (text: string): string => fixture.runGit(path, ['hash-object', '-w', '--stdin'], text);
  const objects = (): string[] =>
    readdirSync(`${path}/objects`)
      .filter((name) => name.length === 2)
      .flatMap((name) =>
        readdirSync(`${path}/objects/${name}`).map((rest) => `${path}/objects/${name}/${rest}`),
      );
  const touch = (ageMs: number): void => {
    const time = new Date(Date.now() - ageMs);
    for (const file of objects()) utimesSync(file, time, time);
  };

  const countedByGit = (): { count: number; garbage: number } => {
    const text = fixture.runGit(path, ['count-objects', '-v']);
    const numberOf = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1]);
    return { count: numberOf('count'), garbage: numberOf('garbage') };
  };

  const changes: (() => void)[] = [
    () => blob('a new object'),
    () => fixture.commit(path, 6),
    () => fixture.runGit(path, ['repack', '-qd']),
    () => blob('one more'),
    () => blob('and another'),
    () => writeFileSync(`${objects()[0]}.tmp`, 'garbage'),
    () => touch(0),
  ];
  let seen = 0;
  for (const change of changes) {
    await countLooseObjects(path, { shards });
    await sleep(TICK_MS);
    change();
    const found = await countLooseObjects(path, { shards });
    assert.deepEqual(found, await countLooseObjects(path), String(change));
    const { count, garbage } = countedByGit();
    assert.deepEqual([found.count, found.garbageCount], [count, garbage], String(change));
    const sizes = objects()
      .filter((file) => !file.endsWith('.tmp'))
      .map((file) => statSync(file).size);
    assert.equal(
      Number(found.size),
      sizes.reduce((sum, size) => sum + size, 0),
    );
    seen = Math.max(seen, shards.size);
  }
  assert.ok(seen > 3);

  for (const [later, isStale] of [
    [STALE_OBJECT_AGE_MS - DAY_MS, false],
    [STALE_OBJECT_AGE_MS + DAY_MS, true],
  ] as const) {
    const nowMs = Date.now() + later;
    const { count, size, staleCount, staleSize } = await countLooseObjects(path, { nowMs, shards });
    assert.deepEqual([staleCount, staleSize], isStale ? [count, size] : [0, 0n]);
    assert.equal(count, countedByGit().count);
  }
  touch(-2 * DAY_MS); // as git renews the time of an object that is written again
  const nowMs = Date.now() + STALE_OBJECT_AGE_MS + DAY_MS;
  const renewed = await countLooseObjects(path, { nowMs, shards });
  assert.deepEqual(renewed, await countLooseObjects(path, { nowMs }));
  assert.equal(renewed.staleCount, 0);
});
