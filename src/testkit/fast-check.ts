import fc from 'fast-check';
import { testSeed } from './test-seed.ts';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: testSeed() });

/** fast-check with the seed of the run, so that a file that is run again tries the same values. */
export { fc };
