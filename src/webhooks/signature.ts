import { createHmac } from 'node:crypto';

/**
 * Returns the headers that authenticate a delivery and protect it against replays, as the Standard
 * Webhooks specification 1.0 defines them.
 *
 * @param id of the event, the same in each attempt.
 * @param timeSeconds of the attempt, since 1970.
 */
export function signatureHeaders(
  key: Buffer,
  { body, id, timeSeconds }: { readonly id: string; readonly timeSeconds: number; readonly body: string },
): Readonly<Record<string, string>> {
  const signature = createHmac('sha256', key).update(`${id}.${timeSeconds}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': `${timeSeconds}`,
    'webhook-signature': `v1,${signature}`,
  };
}
