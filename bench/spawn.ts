/**
 * Measures how long starting a process blocks the event loop, and the time until git has responded,
 * for both spawners. The resident memory is that of a busy server (default 500 MiB, or the first
 * argument).
 */

import { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { createNodeSpawner } from '#git/command/spawner/node-spawner';
import { createPosixSpawner } from '#git/command/spawner/posix-spawner';

const STARTS = 150;
const BALLAST_MIB = Number(process.argv[2] ?? 500);
const ballast = Array.from({ length: BALLAST_MIB }, () => Buffer.alloc(1024 * 1024, 1));

function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(3));
}

for (const spawner of [createPosixSpawner(), createNodeSpawner()]) {
  const git = await Git.start({ binary: 'git', spawner });
  const forks: number[] = [];
  const totals: number[] = [];
  for (let index = 0; index < STARTS; index++) {
    const before = performance.now();
    const run = git.spawn(gitCommand('rev-parse', { options: [flag('--git-dir')] }), {
      observer: ({ forkMs }) => void forks.push(forkMs),
    });
    const blocked = performance.now() - before;
    for await (const _ of run.stdout);
    await run.exited;
    totals.push(performance.now() - before);
    forks[forks.length - 1] = blocked;
  }
  const parallel = performance.now();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (let index = 0; index < STARTS / 8; index++) await git.run(gitCommand('version'));
    }),
  );
  const result = {
    bench: 'spawn',
    spawner: spawner.name,
    rssMiB: Math.round(process.memoryUsage.rss() / 1024 / 1024),
    blockedMs: { p50: percentile(forks, 0.5), p99: percentile(forks, 0.99) },
    answeredMs: { p50: percentile(totals, 0.5), p99: percentile(totals, 0.99) },
    startsPerSecondAt8: Math.round(STARTS / ((performance.now() - parallel) / 1000)),
  };
  console.log(JSON.stringify(result));
}

if (ballast.length !== BALLAST_MIB) throw new Error('the ballast was thrown overboard');
