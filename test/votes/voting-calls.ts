import type { VotingCall } from './call-setting.ts';
import { COMMIT_CALLS } from './commit-calls.ts';
import { BRANCH_CALLS, REFERENCE_CALLS } from './reference-calls.ts';
import { TRANSFER_CALLS } from './transfer-calls.ts';

/** Calls that change references and on which the nodes of a cluster vote. */
export const VOTING_CALLS: readonly VotingCall[] = [
  ...REFERENCE_CALLS,
  ...BRANCH_CALLS,
  ...COMMIT_CALLS,
  ...TRANSFER_CALLS,
];
