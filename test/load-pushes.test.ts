import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDescriptors, processesIn, residentBytes } from '#testkit/measure/process-usage';
import { runGit } from '#testkit/repositories/run-git';
import { repetitions } from '#testkit/soak';
import { Arena, client, commit } from './faults/arena.ts';

/** The short form ends after this number of each, which takes some seven seconds. */
const SHORT_PAIRS = 60;
const SHORT_SECONDS = 35;
const SECONDS = repetitions('LOAD_SECONDS', { short: SHORT_SECONDS, long: 60 });
const PAIRS = SECONDS === SHORT_SECONDS ? SHORT_PAIRS : Number.POSITIVE_INFINITY;
/** Number after which caches are full. */
const WARM_PAIRS = 40;
const CLIENTS = 16;
const REPOSITORIES = 4;
/** An idle cat-file process lives ten seconds. */
const GONE_AFTER_MS = 15_000;
const DESCRIPTORS_LEFT = 5;
/** Normal variation of the heap after the first pushes. */
const GROWTH_BYTES = 96 * 1024 ** 2;

test(`pushes and clones by ${CLIENTS} git clients cause no error and leave nothing`, async (context) => {
  await using arena = await Arena.start();
  const names = Array.from({ length: REPOSITORIES }, (_, number) => `loaded-${number}`);
  for (const name of names) await arena.pushed(name);
  const works = await Promise.all(
    Array.from({ length: CLIENTS }, async (_, number) => {
      const name = names[number % REPOSITORIES] ?? '';
      const work = join(arena.clients, `work-${number}`);
      await runGit(['clone', '-q', arena.url(name), work]);
      return { name, work, number };
    }),
  );
  await arena.settles();
  const descriptors = openDescriptors(arena.gitaly.pid);

  const startedAt = performance.now();
  const state = { begun: 0, done: 0, warmBytes: 0, slowestMs: 0 };
  await Promise.all(
    works.map(async ({ name, work, number }) => {
      while (state.begun < PAIRS && performance.now() - startedAt < SECONDS * 1000) {
        const pair = state.begun++;
        const oid = await commit(work, `pair ${pair}`, `${pair}\n`.repeat(2000));
        const branch = `branch-${number}`;
        const pairStartedAt = performance.now();
        const push = await client(work, ['push', '-q', 'origin', `HEAD:refs/heads/${branch}`]);
        assert.equal(push.code, 0, push.stderr);
        const into = join(arena.clients, `clone-${pair}`);
        const clone = await client(arena.clients, ['clone', '-q', '--bare', arena.url(name), into]);
        assert.equal(clone.code, 0, clone.stderr);
        state.slowestMs = Math.max(state.slowestMs, performance.now() - pairStartedAt);
        assert.equal(await runGit(['-C', into, 'rev-parse', branch]), oid);
        rmSync(into, { recursive: true });
        state.done += 1;
        if (state.done === WARM_PAIRS) state.warmBytes = residentBytes(arena.gitaly.pid);
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1000;

  await arena.settles();
  const limit = performance.now() + GONE_AFTER_MS;
  while (processesIn(join(arena.directory, 'default')).length > 0 && performance.now() < limit)
    await sleep(200); // looks are expensive: they read all of /proc
  const grown = state.warmBytes === 0 ? 0 : residentBytes(arena.gitaly.pid) - state.warmBytes;
  context.diagnostic(
    `${state.done} pushes and clones in ${seconds.toFixed(1)} s, slowest pair ` +
      `${Math.round(state.slowestMs)} ms, ${Math.round(grown / 1024 ** 2)} MiB more than when warm, ` +
      `${openDescriptors(arena.gitaly.pid) - descriptors} more descriptors`,
  );
  assert.deepEqual(processesIn(join(arena.directory, 'default')), []);
  assert.ok(
    openDescriptors(arena.gitaly.pid) <= descriptors + DESCRIPTORS_LEFT,
    `${openDescriptors(arena.gitaly.pid)} descriptors`,
  );
  assert.ok(grown < GROWTH_BYTES, `${Math.round(grown / 1024 ** 2)} MiB`);
  assert.ok(state.done >= CLIENTS, `only ${state.done}`);
  for (const name of names) await arena.fsck(name);
});
