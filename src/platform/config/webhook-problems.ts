import { quote } from '#base/go/quote';
import { type ConfigProblem, fileExists, httpUrlProblem, Problems } from './checks.ts';
import type { ConfigValues } from './schema/schema.ts';
import { WEBHOOK_SECRET, webhookKey } from './webhook-secret.ts';

const MAX_PATTERN_CHARACTERS = 256;

export interface WebhookContext {
  readonly events: { readonly enabled: boolean };
  /** Values whose events can be sent. */
  readonly storages: readonly { readonly name: string }[];
}

/** Returns the problems of `[[webhook]]`, with relative keys. */
export function webhookProblems(
  webhooks: ConfigValues['webhook'],
  { events, storages }: WebhookContext,
): ConfigProblem[] {
  const problems = new Problems();
  if (webhooks.length > 0 && !events.enabled) problems.add('needs events.enabled = true');
  const names = new Set(storages.map(({ name }) => name));
  for (const [index, webhook] of webhooks.entries()) {
    const add = (message: string | undefined, key: string): unknown =>
      problems.add(message, `[${index}]`, key);
    if (webhook.name === '') add('not set', 'name');
    if (webhooks.slice(0, index).some(({ name }) => name === webhook.name))
      add(`not unique: ${quote(webhook.name)}`, 'name');
    add(webhookUrlProblem(webhook.url), 'url');
    add(webhookSecretProblem(webhook), webhook.secretFile === undefined ? 'secret' : 'secret_file');
    const unknown = webhook.storages.find((name) => !names.has(name));
    if (unknown !== undefined) add(`no such storage: ${quote(unknown)}`, 'storages');
    if (webhook.referencePattern.length > MAX_PATTERN_CHARACTERS)
      add(`longer than ${MAX_PATTERN_CHARACTERS} characters`, 'reference_pattern');
  }
  return problems.list;
}

function webhookUrlProblem(text: string): string | undefined {
  return text === '' ? 'not set' : httpUrlProblem(text);
}

function webhookSecretProblem(webhook: ConfigValues['webhook'][number]): string | undefined {
  const { secret, secretFile } = webhook;
  if (secret === undefined && secretFile === undefined) return `not set: ${WEBHOOK_SECRET}`;
  if (secret !== undefined && secretFile !== undefined)
    return 'secret and secret_file are mutually exclusive';
  const missing = secretFile === undefined ? undefined : fileExists(secretFile);
  if (missing !== undefined) return missing;
  return webhookKey(webhook) === undefined ? `must be ${WEBHOOK_SECRET}` : undefined;
}
