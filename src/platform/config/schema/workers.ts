import { within } from '../checks.ts';
import { integerOrAuto, table } from '../keys.ts';

/** Limit of `[workers] max`. */
const MAX_WORKERS = 256;

export const workersTable = table('Processes of the server. Not in Gitaly.', {
  max: integerOrAuto({
    doc:
      'Most processes that serve calls. Further ones start while the server is busy and end when they ' +
      'have nothing to do. 1 means a single process; "auto" means half of the processors that the ' +
      'control group allows, at least 1.',
    default: 1,
    example: '"auto"',
    accepted: `"auto" or a whole number from 1 to ${MAX_WORKERS}`,
  }),
});

/** Returns the problem of the number of processes. */
export function workersProblem({ max }: { readonly max: number | 'auto' }): string | undefined {
  return max === 'auto' ? undefined : within(max, 1, MAX_WORKERS);
}
