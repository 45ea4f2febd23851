import { randomInt } from 'node:crypto';

/**
 * Returns the seed of a test's random choices: the one of an environment variable, or that of the
 * whole run (`TEST_SEED`), which a file that is run again keeps.
 */
export function testSeed(variable = 'TEST_SEED'): number {
  return Number(process.env[variable] || process.env.TEST_SEED || randomInt(2 ** 31));
}
