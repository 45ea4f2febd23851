import { test } from 'node:test';
import { methodByPath } from '#wire/methods';
import { compareReading } from './differential/compare-reading.ts';
import type { RecordedCase } from './golden/recorded-case.ts';
import { replayArea } from './golden/replay-area.ts';

/** Share of the recordings that `npm test` replays. */
const SHARE = 0.3;

// The reading calls once more with `git.in_process = false`, where git answers every question. An
// operator who sets that has to get the same responses.

for (const area of ['ref', 'commit', 'smarthttp'])
  replayArea(area, { config: '[git]\nin_process = false', isWanted: readsOnly, share: SHARE });

for (const kind of ['sound', 'damaged', 'shallow'] as const) {
  test(`all reading calls agree with git on a ${kind} repository without answers in process`, (context) =>
    compareReading(context, {
      kind,
      format: kind === 'sound' ? 'sha256' : 'sha1',
      questions: 60,
      config: { git: { in_process: false } },
    }));
}

function readsOnly({ rpc, given }: RecordedCase): boolean {
  return methodByPath(`/gitaly.${rpc}`)?.operation === 'accessor' && given?.config === undefined;
}
