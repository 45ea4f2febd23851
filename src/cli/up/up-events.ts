import { resolve } from 'node:path';
import { fieldsOf } from '#base/fields-of';
import { GatewayArgumentError } from './gateway-options.ts';

/** Command line options of the change feed. */
export interface UpEventsOptions {
  /** Keeps a change feed. */
  readonly events?: boolean;
  /** Address to which each event is posted. */
  readonly webhook?: string | undefined;
  readonly webhookSecretFile?: string | undefined;
  /** Allows a webhook on this machine or in a private network. */
  readonly webhookPrivate?: boolean;
  /** Bucket to which each change is archived. */
  readonly archive?: string | undefined;
}

/** The change feed of `gitaly-ts up`: tables of the server's configuration. */
export interface UpEvents {
  readonly events: { readonly enabled: true };
  readonly webhook?: readonly {
    readonly name: string;
    readonly url: string;
    readonly secret_file: string;
    readonly allow_private_addresses: boolean;
  }[];
}

const NEEDS_WEBHOOK = {
  webhookSecretFile: '--webhook-secret-file',
  webhookPrivate: '--webhook-private',
} as const;

/**
 * Parses the options. Returns `undefined` without a change feed. A webhook needs one.
 *
 * @throws {GatewayArgumentError}
 */
export function parseUpEvents(options: UpEventsOptions): UpEvents | undefined {
  const { events, webhook, webhookPrivate = false, webhookSecretFile } = options;
  for (const [key, option] of fieldsOf(NEEDS_WEBHOOK))
    if (options[key] !== undefined && webhook === undefined)
      throw new GatewayArgumentError(`${option} has no effect without --webhook URL`);
  if (events !== true && webhook === undefined) return undefined;
  if (webhook === undefined) return { events: { enabled: true } };
  const url = URL.parse(webhook);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    throw new GatewayArgumentError(
      '--webhook: write an address such as https://ci.example.com/hook, without user and password',
    );
  if (webhookSecretFile === undefined)
    throw new GatewayArgumentError(
      '--webhook requires a secret: openssl rand -base64 32 > secret, and add --webhook-secret-file secret',
    );
  const table = { secret_file: resolve(webhookSecretFile), allow_private_addresses: webhookPrivate };
  return { events: { enabled: true }, webhook: [{ name: 'up', url: webhook, ...table }] };
}
