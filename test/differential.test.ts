import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#testkit/random-history';
import { startGitaly } from '#testkit/start-gitaly';
import { commitComparers } from './differential/commits.ts';
import { type Comparison, disagreement } from './differential/comparison.ts';
import { diffComparers } from './differential/diffs.ts';
import { KINDS, makeOddRepository } from './differential/odd-repository.ts';
import { refComparers } from './differential/refs.ts';
import { treeComparers } from './differential/trees.ts';

/** `SEED=7` repeats a run. */
const SEED = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
const COMPARERS = [...commitComparers, ...treeComparers, ...refComparers, ...diffComparers];
/** Questions that are asked at once. */
const AT_ONCE = 6;
const SHOWN = 10;
/** Of each repository; more find more. */
const QUESTIONS = Number(process.env.QUESTIONS ?? 200);

for (const format of ['sha1', 'sha256'] as const) {
  for (const kind of KINDS) {
    test(`all reading calls answer what git answers about a ${kind} ${format} repository (SEED=${SEED})`, async (context) => {
      await using gitaly = await startGitaly();
      const about = await makeOddRepository(gitaly.storagePath(), { kind, format, random: seededRandom(SEED) });
      const all = COMPARERS.flatMap((comparer) => comparer(about, gitaly.connection));
      const comparisons = shuffled(all, about.random).slice(0, QUESTIONS);

      const wrong = await disagreements(comparisons);

      context.diagnostic(`${comparisons.length} questions of ${all.length}`);
      assert.equal(
        wrong.length,
        0,
        `${wrong.length} of ${comparisons.length} answers differ:\n${wrong.slice(0, SHOWN).join('\n\n')}`,
      );
    });
  }
}

async function disagreements(comparisons: readonly Comparison[]): Promise<string[]> {
  const wrong: string[] = [];
  const waiting = comparisons.values();
  const work = async (): Promise<void> => {
    for (const comparison of waiting) {
      const found = await disagreement(comparison);
      if (found !== undefined) wrong.push(found);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return wrong;
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random() }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ item }) => item);
}
