import { test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { repetitions } from '#testkit/soak';
import { compareReading, SEED } from './differential/compare-reading.ts';
import { KINDS } from './differential/unusual-repository.ts';

/** Number of requests for each repository; more find more. */
const QUESTIONS = repetitions('QUESTIONS', { short: 20, long: 5000 });

const REPOSITORIES = KINDS.flatMap((kind) =>
  (['sha1', 'sha256'] as const).map((format) => ({ kind, format })),
);
/** Share of the repositories that `make test` tries. */
const SHARE = 1 / 2;

for (const { format, kind } of seededShare(REPOSITORIES, SHARE)) {
  test(`reading calls agree with git on a ${kind} ${format} repository (SEED=${SEED})`, (context) =>
    compareReading(context, { kind, format, questions: QUESTIONS }));
}
