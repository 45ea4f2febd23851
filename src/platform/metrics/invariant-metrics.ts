import { counter } from './metric.ts';

/** Checks of the code on itself while it runs. */
export const BROKEN = {
  violations: counter(
    'gitaly_ts_invariant_violations_total',
    ['invariant'],
    'Mistakes of the server that it noticed itself; the call ended with INTERNAL.',
  ),
};
