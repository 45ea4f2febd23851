import { readFileSync } from 'node:fs';
import type { Secret } from '#base/secret';

const PREFIX = 'whsec_';
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Describes the accepted secrets. */
export const WEBHOOK_SECRET = '24 to 64 bytes in base64, for example from openssl rand -base64 32';

/**
 * Returns the key of a webhook's secret, which is base64 and may begin with `whsec_`; `undefined`
 * if it is not one.
 *
 * @param source the secret, or the path of its file. @throws the error of reading the file.
 */
export function webhookKey(source: {
  readonly secret: Secret | undefined;
  readonly secretFile: string | undefined;
}): Buffer | undefined {
  const secret = source.secret?.reveal() ?? readFileSync(source.secretFile ?? '', 'utf8').trim();
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  const key = Buffer.from(text, 'base64');
  const isKey = BASE64.test(text) && key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES;
  return isKey ? key : undefined;
}
