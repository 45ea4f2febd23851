import { seededShare } from '#testkit/seeded-share';
import { allTrials, testTrials } from './compare.ts';

/** About 0.4 s of CPU time each. The other files of this folder try all, in `make test-release`. */
const TRIED = 18;

const all = allTrials();
testTrials(seededShare(all, { short: TRIED / all.length, long: 0.2 }));
