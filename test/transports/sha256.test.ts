import { allTrials, testTrials } from './compare.ts';

testTrials(allTrials().filter(({ objectFormat }) => objectFormat === 'sha256'));
