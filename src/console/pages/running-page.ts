import type { ServerStatus } from '#calls/top/status';
import { CONSOLE_PATH, type Query, withQuery } from '../console-route.ts';
import { table, wideTable } from '../html/elements.ts';
import { formatDuration } from '../html/format.ts';
import { type Html, html, type Part } from '../html/html.ts';
import type { NodeStatus, NodesSource } from '../nodes-status.ts';
import { type ConsolePage, cannotPost, problemPage, unresponsivePage } from '../page.ts';
import type { StatusSource } from '../server-status.ts';
import type { Visit } from '../visit.ts';

type Call = ServerStatus['calls'][number];

const ADDRESS = `${CONSOLE_PATH}/running`;

export interface RunningPageOptions {
  readonly status?: StatusSource;
  readonly nodes?: NodesSource;
  /** Ends the running calls with a correlation id. */
  readonly cancel?: (correlationId: string) => Promise<number>;
}

/** Shows the calls that run, their git processes, and the limits for which calls wait. */
export async function runningPage(
  { formParameters, isPost, query }: Visit,
  { cancel, nodes, status }: RunningPageOptions,
): Promise<ConsolePage> {
  if (isPost) {
    if (cancel === undefined) return cannotPost();
    await cancel(query.get('cancel') ?? '');
    return { ...cannotPost(), location: ADDRESS };
  }
  if (status === undefined)
    return problemPage(404, 'Not available', 'The console of the server has this page. Or use gitaly top.');
  const [now, ofNodes] = await Promise.all([status(), nodes?.status()]);
  if (now === undefined) return unresponsivePage('running', 'Running');
  const parameters = cancel && formParameters;
  return {
    title: 'Running',
    section: 'running',
    isLive: true,
    data: { ...now, ...(ofNodes && { nodes: ofNodes }) },
    body: html`<h1>Running</h1>
<div data-refresh>
<h2>Calls</h2>
${calls(now, { nodes: ofNodes ?? [], parameters })}
${ofNodes && html`<h2>Other calls of the nodes</h2>${callsOfNodes(ofNodes, { now, parameters })}`}
${limitsAndProcesses(now, ofNodes)}
</div>`,
  };
}

/** Shows information that only nodes have, not praefect. */
function limitsAndProcesses(now: ServerStatus, nodes: readonly NodeStatus[] | undefined): Html | undefined {
  if (now.git_version === '' && nodes === undefined) return undefined;
  return html`<h2>Limits in use</h2>
${nodes === undefined ? queues(now) : queuesOfNodes(nodes)}
<h2>Shared and background processes</h2>
${nodes === undefined ? processes(now) : processesOfNodes(nodes)}`;
}

interface CallsOptions {
  readonly nodes: readonly NodeStatus[];
  /** Parameters of the forms that end calls; `undefined` if that is not possible. */
  readonly parameters: Query | undefined;
}

function calls(
  { call_count, calls: shown, git_version }: ServerStatus,
  { nodes, parameters }: CallsOptions,
): Html {
  if (call_count === 0) return html`<p>No call is running.</p>`;
  const hidden = call_count - shown.length;
  const last = git_version === '' ? 'Nodes' : 'Processes';
  const headings = ['Method', 'Time', 'Repository', 'User', 'Client', last];
  const rows = shown.map((call) => {
    const work = call.nodes === undefined ? commands(call) : workOfNodes(call, nodes);
    return withButton([...callRow(call), work], call, parameters);
  });
  return html`${wideTable('Running calls', withEnd(headings, parameters), rows)}
${hidden > 0 ? html`<p>${hidden} younger calls are not shown.</p>` : undefined}`;
}

/** Shows the calls that did not come through the praefect, such as those that copy replicas. */
function callsOfNodes(
  nodes: readonly NodeStatus[],
  { now, parameters }: { readonly now: ServerStatus; readonly parameters: Query | undefined },
): Html {
  const known = new Set(now.calls.map(({ correlation_id }) => correlation_id));
  const rows = nodes.flatMap(({ status, storage }) =>
    (status?.calls ?? [])
      .filter(({ correlation_id }) => !known.has(correlation_id))
      .map((call) => withButton([storage, ...callRow(call), commands(call)], call, parameters)),
  );
  const silent = nodes.filter(({ status }) => status === null);
  const headings = ['Node', 'Method', 'Time', 'Repository', 'User', 'Client', 'Processes'];
  return html`${
    rows.length === 0
      ? html`<p>None.</p>`
      : wideTable('Other calls of the nodes', withEnd(headings, parameters), rows)
  }
${silent.map(({ storage }) => html`<p>${storage} does not respond.</p>`)}`;
}

function withEnd(headings: readonly string[], parameters: Query | undefined): readonly string[] {
  return parameters === undefined ? headings : [...headings, 'End'];
}

function withButton(row: readonly Part[], call: Call, parameters: Query | undefined): readonly Part[] {
  return parameters === undefined ? row : [...row, cancelButton(call, parameters)];
}

function callRow(call: Call): readonly Part[] {
  const waits = call.waits_for && html` <em>waits for ${call.waits_for}</em>`;
  const time = formatDuration(call.age_ms);
  return [[call.method, waits], time, call.repository, call.user, call.client];
}

function commands({ processes }: Pick<Call, 'processes'>): readonly Part[] {
  return processes.map(({ command, pid }) => html`<code>${command}</code> (${pid}) `);
}

/** Returns the nodes of a call, each with the processes that it has there. */
function workOfNodes({ correlation_id, nodes: names = [] }: Call, nodes: readonly NodeStatus[]): Part {
  const lines = names.map((name) => {
    const { status } = nodes.find(({ storage }) => storage === name) ?? {};
    const own = (status?.calls ?? []).filter((call) => call.correlation_id === correlation_id);
    const processes = own.flatMap((call) => call.processes);
    return processes.length === 0 ? name : html`${name}: ${commands({ processes })}`;
  });
  return lines.map((line, index) => (index === 0 ? line : html`, ${line}`));
}

function cancelButton({ correlation_id, method }: Call, parameters: Query): Html {
  const address = withQuery(ADDRESS, { cancel: correlation_id, ...parameters });
  const button = html`<button aria-label="Cancel ${method}">Cancel</button>`;
  return html`<form method="post" action="${address}">${button}</form>`;
}

const LIMITS = ['Limit', 'Method', 'Repository', 'Running', 'Waiting'];
const NO_LIMITS = html`<p>No call counts towards a limit.</p>`;

function queues({ queues: shown }: ServerStatus): Html {
  return shown.length === 0 ? NO_LIMITS : wideTable('Limits', LIMITS, shown.map(queueRow));
}

function queuesOfNodes(nodes: readonly NodeStatus[]): Html {
  const rows = nodes.flatMap(({ status, storage }) =>
    (status?.queues ?? []).map((queue) => [storage, ...queueRow(queue)]),
  );
  return rows.length === 0 ? NO_LIMITS : wideTable('Limits', ['Node', ...LIMITS], rows);
}

function queueRow({ limit, max, method, repository, running, waiting }: ServerStatus['queues'][number]) {
  return [limit, method, repository, max === undefined ? running : `${running} of ${max}`, waiting];
}

const PROCESSES = ['Process', 'Command', 'Time'];
const NO_PROCESSES = html`<p>None.</p>`;

function processes({ processes: shown }: ServerStatus): Html {
  return shown.length === 0 ? NO_PROCESSES : table(PROCESSES, shown.map(processRow));
}

function processesOfNodes(nodes: readonly NodeStatus[]): Html {
  const rows = nodes.flatMap(({ status, storage }) =>
    (status?.processes ?? []).map((each) => [storage, ...processRow(each)]),
  );
  return rows.length === 0
    ? NO_PROCESSES
    : wideTable('Shared and background processes', ['Node', ...PROCESSES], rows);
}

function processRow({ age_ms, command, pid }: ServerStatus['processes'][number]): readonly Part[] {
  return [pid, html`<code>${command}</code>`, formatDuration(age_ms)];
}
