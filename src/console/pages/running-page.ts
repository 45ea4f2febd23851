import { CONSOLE_PATH, type Query, withQuery } from '../console-route.ts';
import { table, wideTable } from '../html/elements.ts';
import { formatDuration } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import { cannotPost, type Page, problemPage } from '../page.ts';
import type { ConsoleStatus, StatusSource } from '../server-status.ts';
import type { Visit } from '../visit.ts';

const ADDRESS = `${CONSOLE_PATH}/running`;

export interface RunningPageOptions {
  readonly status?: StatusSource;
  /** Ends the running calls with a correlation id. */
  readonly cancel?: (correlationId: string) => Promise<number>;
}

/** Shows the calls that run, their git processes, and the limits for which calls wait. */
export async function runningPage(
  { formParameters, isPost, query }: Visit,
  { cancel, status }: RunningPageOptions,
): Promise<Page> {
  if (isPost) {
    if (cancel === undefined) return cannotPost();
    await cancel(query.get('cancel') ?? '');
    return { ...cannotPost(), location: ADDRESS };
  }
  if (status === undefined)
    return problemPage(404, 'Not available', 'The server runs in other processes. Use gitaly top there.');
  const now = await status();
  return {
    title: 'Running',
    section: 'running',
    isLive: true,
    data: now,
    body: html`<h1>Running</h1>
<div data-refresh>
<h2>Calls</h2>
${calls(now, cancel && formParameters)}
${now.git_version === '' ? undefined : limitsAndProcesses(now)}
</div>`,
  };
}

/** Returns what a praefect does not have: its nodes do. */
function limitsAndProcesses(now: ConsoleStatus): Html {
  return html`<h2>Limits in use</h2>
${queues(now)}
<h2>Shared and background processes</h2>
${processes(now)}`;
}

/** @param parameters of the forms that end calls; `undefined` if that is not possible. */
function calls(
  { call_count, calls: shown, git_version }: ConsoleStatus,
  parameters: Query | undefined,
): Html {
  if (call_count === 0) return html`<p>No call is running.</p>`;
  const hidden = call_count - shown.length;
  const last = git_version === '' ? 'Nodes' : 'Processes';
  const headings = ['Method', 'Time', 'Repository', 'User', 'Client', last];
  const rows = shown.map((call) =>
    parameters === undefined ? callRow(call) : [...callRow(call), cancelButton(call, parameters)],
  );
  return html`${wideTable('Running calls', parameters === undefined ? headings : [...headings, 'End'], rows)}
${hidden > 0 ? html`<p>${hidden} younger calls are not shown.</p>` : undefined}`;
}

function callRow(call: ConsoleStatus['calls'][number]): readonly Part[] {
  const waits = call.waits_for && html` <em>waits for ${call.waits_for}</em>`;
  const commands = call.processes.map(({ command, pid }) => html`<code>${command}</code> (${pid}) `);
  const work = call.nodes?.join(', ') ?? commands;
  const time = formatDuration(call.age_ms);
  return [[call.method, waits], time, call.repository, call.user, call.client, work];
}

/** Returns the button that ends a call. */
function cancelButton({ correlation_id, method }: ConsoleStatus['calls'][number], parameters: Query): Html {
  const address = withQuery(ADDRESS, { cancel: correlation_id, ...parameters });
  const button = html`<button aria-label="Cancel ${method}">Cancel</button>`;
  return html`<form method="post" action="${address}">${button}</form>`;
}

function queues({ queues: shown }: ConsoleStatus): Html {
  if (shown.length === 0) return html`<p>No call counts towards a limit.</p>`;
  return wideTable('Limits', ['Limit', 'Method', 'Repository', 'Running', 'Waiting'], shown.map(queueRow));
}

function queueRow({ limit, max, method, repository, running, waiting }: ConsoleStatus['queues'][number]) {
  return [limit, method, repository, max === undefined ? running : `${running} of ${max}`, waiting];
}

function processes({ processes: shown }: ConsoleStatus): Html {
  if (shown.length === 0) return html`<p>None.</p>`;
  return table(
    ['Process', 'Command', 'Time'],
    shown.map(({ age_ms, command, pid }) => [pid, html`<code>${command}</code>`, formatDuration(age_ms)]),
  );
}
