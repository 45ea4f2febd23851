import { list, number, object, type Shaped, text } from '#base/shape';
import { deadLetter } from './delivery-state.ts';

/** The work of a webhook for a storage since the start. */
export const statusOfWebhook = object({
  name: text,
  storage: text,
  /** Host of the receiver. The rest of the address may be a secret. */
  host: text,
  delivered: number,
  failed_attempts: number,
  /** Events that are not delivered yet; later ones are in the journal. */
  waiting: number,
  /** Events behind the last one that was looked at. */
  behind: number,
  last_problem: text,
  /** Events that were given up, the newest last. */
  dead_letters: list(deadLetter),
});

export type WebhookStatus = Shaped<typeof statusOfWebhook>;
