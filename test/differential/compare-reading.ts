import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { shuffled } from '#base/shuffled';
import { seededRandom } from '#testkit/repositories/random-history';
import { type StartGitalyOptions, startGitaly } from '#testkit/start-gitaly';
import type { AskGit } from './ask-git.ts';
import { commitComparers } from './commits.ts';
import { type Comparison, disagreement } from './comparison.ts';
import { diffComparers } from './diffs.ts';
import { refComparers } from './refs.ts';
import { repositoryComparers } from './repositories.ts';
import { treeComparers } from './trees.ts';
import { choices, type Kind, makeOddRepository } from './unusual-repository.ts';

/** A fixed seed, so that a run tests only the change. `SEED=$RANDOM` uses other repositories. */
export const SEED = Number(process.env.SEED ?? 31);
const COMPARERS = process.env.ONLY_REPO
  ? repositoryComparers
  : [...commitComparers, ...treeComparers, ...refComparers, ...diffComparers, ...repositoryComparers];
/** Requests in flight at the same time. */
const AT_ONCE = 6;
const SHOWN = 10;

export interface ReadingComparison {
  readonly kind: Kind;
  readonly format: 'sha1' | 'sha256';
  /** Number of requests; more find more. */
  readonly questions: number;
  /** Of the server. */
  readonly config?: StartGitalyOptions['config'];
}

/** Compares the responses of a server with git on an unusual repository. */
export async function compareReading(
  context: TestContext,
  { kind, format, questions, config = {} }: ReadingComparison,
): Promise<void> {
  await using gitaly = await startGitaly({ config });
  const about = await makeOddRepository(gitaly.storagePath(), { kind, format, random: seededRandom(SEED) });
  const ask = (git: AskGit) =>
    COMPARERS.flatMap((comparer) =>
      comparer({ ...about, ...choices(seededRandom(SEED)), git }, gitaly.connection),
    );
  const [all, intact] = [ask(about.git), about.intact && ask(about.intact)];
  const pairs = all.map((comparison, index) => [comparison, intact?.[index]] as const);
  const chosen = shuffled(pairs, seededRandom(SEED)).slice(0, questions);

  const wrong = await disagreements(chosen);

  context.diagnostic(`${chosen.length} questions of ${all.length}`);
  assert.equal(
    wrong.length,
    0,
    `${wrong.length} of ${chosen.length} answers differ:\n${wrong.slice(0, SHOWN).join('\n\n')}`,
  );
}

async function disagreements(
  pairs: readonly (readonly [Comparison, Comparison | undefined])[],
): Promise<string[]> {
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
