import { test } from 'node:test';
import { repetitions } from '#testkit/soak';
import { compareReading, SEED } from './differential/compare-reading.ts';
import { KINDS } from './differential/unusual-repository.ts';

/** Number of requests for each repository; more find more. */
const QUESTIONS = repetitions('QUESTIONS', { short: 40, long: 5000 });

for (const format of ['sha1', 'sha256'] as const) {
  for (const kind of KINDS) {
    test(`reading calls agree with git on a ${kind} ${format} repository (SEED=${SEED})`, (context) =>
      compareReading(context, { kind, format, questions: QUESTIONS }));
  }
}
