import { test } from 'node:test';
import { seededShare } from '#testkit/seeded-share';
import { methodByPath } from '#wire/methods';
import { compareReading } from './differential/compare-reading.ts';
import type { RecordedCase } from './golden/recorded-case.ts';
import { replayArea } from './golden/replay-area.ts';

/**
 * Share of the recordings that `npm test` replays. Those of SmartHTTPService need earlier ones,
 * whose answers are cached.
 */
const SHARES = { ref: 0.08, commit: 0.08, smarthttp: 1 };

/** A git process of the recording before has read the mailmap, and checked HEAD, for the last time. */
const CHANGES_WHAT_IS_READ_ONCE = /\.mailmap\b|junk >HEAD/;

// The reading calls once more with `git.in_process = false`, where git answers every question. An
// operator who sets that has to get the same responses.

for (const [area, share] of Object.entries(SHARES))
  replayArea(area, { config: '[git]\nin_process = false', isWanted: readsOnly, share });

for (const kind of seededShare(['sound', 'damaged', 'shallow'] as const, 1 / 3)) {
  test(`all reading calls agree with git on a ${kind} repository without answers in process`, (context) =>
    compareReading(context, {
      kind,
      format: kind === 'sound' ? 'sha256' : 'sha1',
      questions: 20,
      config: { git: { in_process: false } },
    }));
}

function readsOnly({ rpc, given }: RecordedCase): boolean {
  const isReading = methodByPath(`/gitaly.${rpc}`)?.operation === 'accessor' && given?.config === undefined;
  return isReading && !CHANGES_WHAT_IS_READ_ONCE.test(given?.setup ?? '');
}
