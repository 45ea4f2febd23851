import type { ServerStatus } from '#calls/top/status';
import { wideTable } from '../html/elements.ts';
import { type Html, html } from '../html/html.ts';
import { type ConsolePage, problemPage, unresponsivePage } from '../page.ts';
import type { StatusSource } from '../server-status.ts';

const NONE = html`<p>There are none. Start with --webhook URL, or add [[webhook]].</p>`;

type WebhookStatus = NonNullable<ServerStatus['webhooks']>[number];

/** Shows the state of each webhook, and the events that were given up. */
export async function webhooksPage(status: StatusSource | undefined): Promise<ConsolePage> {
  if (status === undefined)
    return problemPage(404, 'Not available', 'The console of the server has this page.');
  const now = await status();
  if (now === undefined) return unresponsivePage('webhooks', 'Webhooks');
  const { webhooks = [] } = now;
  return {
    title: 'Webhooks',
    section: 'webhooks',
    isLive: true,
    data: { webhooks },
    body: html`<h1>Webhooks</h1>
<div data-refresh>
${webhooks.length === 0 ? NONE : states(webhooks)}
</div>`,
  };
}

function states(webhooks: readonly WebhookStatus[]): Html {
  return html`${wideTable(
    'State of each webhook',
    ['Name', 'Storage', 'Receiver', 'Delivered', 'Failed attempts', 'Waiting', 'Last problem'],
    webhooks.map((hook) => [
      hook.name,
      hook.storage,
      hook.host,
      hook.delivered,
      hook.failed_attempts,
      hook.waiting + hook.behind,
      hook.last_problem,
    ]),
  )}
<h2>Dead letters</h2>
${deadLetters(webhooks)}`;
}

function deadLetters(webhooks: readonly WebhookStatus[]): Html {
  const rows = webhooks.flatMap(({ dead_letters, name }) =>
    dead_letters.map(({ id, reason, repository, time }) => [time, name, id, repository, reason]),
  );
  if (rows.length === 0) return html`<p>Every event was delivered or is on its way.</p>`;
  return wideTable('Dead letters', ['Time', 'Webhook', 'Event', 'Repository', 'Reason'], rows.toReversed());
}
