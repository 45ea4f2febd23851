import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, seededRandom } from '#testkit/random-history';
import { startGitaly } from '#testkit/start-gitaly';
import type { AskGit } from './differential/ask-git.ts';
import { commitComparers } from './differential/commits.ts';
import { type Comparison, disagreement } from './differential/comparison.ts';
import { diffComparers } from './differential/diffs.ts';
import { choices, KINDS, makeOddRepository } from './differential/odd-repository.ts';
import { refComparers } from './differential/refs.ts';
import { treeComparers } from './differential/trees.ts';

/** The same for everybody, so that a change is judged by itself. `SEED=$RANDOM` asks about other repositories. */
const SEED = Number(process.env.SEED ?? 31);
const COMPARERS = [...commitComparers, ...treeComparers, ...refComparers, ...diffComparers];
/** Questions that are asked at once. */
const AT_ONCE = 6;
const SHOWN = 10;
/** Of each repository; more find more. */
const QUESTIONS = Number(process.env.QUESTIONS ?? 120);

for (const format of ['sha1', 'sha256'] as const) {
  for (const kind of KINDS) {
    test(`all reading calls answer what git answers about a ${kind} ${format} repository (SEED=${SEED})`, async (context) => {
      await using gitaly = await startGitaly();
      const about = await makeOddRepository(gitaly.storagePath(), { kind, format, random: seededRandom(SEED) });
      const ask = (git: AskGit) =>
        COMPARERS.flatMap((comparer) => comparer({ ...about, ...choices(seededRandom(SEED)), git }, gitaly.connection));
      const [all, intact] = [ask(about.git), about.intact && ask(about.intact)];
      const pairs = all.map((comparison, index) => [comparison, intact?.[index]] as const);
      const chosen = shuffled(pairs, seededRandom(SEED)).slice(0, QUESTIONS);

      const wrong = await disagreements(chosen);

      context.diagnostic(`${chosen.length} questions of ${all.length}`);
      assert.equal(wrong.length, 0, `${wrong.length} of ${chosen.length} answers differ:\n${wrong.slice(0, SHOWN).join('\n\n')}`);
    });
  }
}

async function disagreements(pairs: readonly (readonly [Comparison, Comparison | undefined])[]): Promise<string[]> {
  const wrong: string[] = [];
  const waiting = pairs.values();
  const work = async (): Promise<void> => {
    for (const [comparison, intact] of waiting) {
      const found = await disagreement(comparison, intact);
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
