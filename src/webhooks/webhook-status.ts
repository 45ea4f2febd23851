import type { DeadLetter } from './delivery-state.ts';

/** The work of a webhook for a storage since the start. */
export interface WebhookStatus {
  readonly name: string;
  readonly storage: string;
  /** Host of the receiver. The rest of the address may be a secret. */
  readonly host: string;
  readonly delivered: number;
  readonly failed_attempts: number;
  /** Events that are not delivered yet; later ones are in the journal. */
  readonly waiting: number;
  /** Events behind the last one that was looked at. */
  readonly behind: number;
  readonly last_problem: string;
  /** Events that were given up, the newest last. */
  readonly dead_letters: readonly DeadLetter[];
}
