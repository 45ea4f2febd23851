import { codeFrame } from '../html/elements.ts';
import { formatDuration, instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import type { NodesSource } from '../nodes-status.ts';
import { type ConsolePage, problemPage, unresponsivePage } from '../page.ts';
import type { ConsoleHistory, HistorySource } from '../server-history.ts';
import type { Visit } from '../visit.ts';

type SlowCall = ConsoleHistory['slow_calls'][number];
type NodeCall = SlowCall & { readonly node: string };

export interface SlowPageOptions {
  readonly history?: HistorySource;
  readonly nodes?: NodesSource;
}

/** Shows the last calls that took long, with the git commands and facts that explain them. */
export async function slowPage(
  { query }: Visit,
  { history: source, nodes }: SlowPageOptions,
): Promise<ConsolePage> {
  if (source === undefined)
    return problemPage(404, 'Not available', 'The server keeps no history of its calls here.');
  const [history, ofNodes] = await Promise.all([source(), nodes?.history()]);
  if (history === undefined) return unresponsivePage('slow', 'Slow calls');
  const over = Number(query.get('over')) || history.slow_ms;
  const isSlow = ({ duration_ms }: SlowCall): boolean => duration_ms >= over;
  const calls = history.slow_calls.filter(isSlow);
  const nodeCalls = ofNodes?.flatMap(({ history: own, storage: node }) =>
    (own?.slow_calls ?? []).filter(isSlow).map((call): NodeCall => ({ node, ...call })),
  );
  const data = { slow_ms: history.slow_ms, over_ms: over, calls };
  return {
    title: 'Slow calls',
    section: 'slow',
    data: nodeCalls === undefined ? data : { ...data, node_calls: nodeCalls },
    body: html`<h1>Slow calls</h1>
<p>The last 100 calls that took ${formatDuration(history.slow_ms)} or longer.</p>
${calls.length === 0 ? html`<p>None.</p>` : calls.map((call) => details(call, nodeCalls))}
${nodeCalls && others(nodeCalls, calls)}`,
  };
}

/** Shows the slow calls of nodes that were not made through praefect. */
function others(nodeCalls: readonly NodeCall[], calls: readonly SlowCall[]): Html {
  const known = new Set(calls.map(({ correlation_id }) => correlation_id));
  const shown = nodeCalls
    .filter(({ correlation_id }) => !known.has(correlation_id))
    .sort((one, other) => (one.time < other.time ? 1 : -1));
  return html`<h2>Other calls of the nodes</h2>
${shown.length === 0 ? html`<p>None.</p>` : shown.map((call) => details(call))}`;
}

function details(call: SlowCall & Partial<NodeCall>, nodeCalls: readonly NodeCall[] = []): Html {
  const { client, correlation_id, duration_ms, method, node, repository, status, time, user } = call;
  const { commands: _, omitted_commands: __, time_ms: ___, ...facts } = call.explanation;
  const pairs = factsOf(facts).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`);
  const note = html`${formatDuration(duration_ms)}, ${status}, ${instant(new Date(time))}`;
  const onNodes = nodeCalls.filter((each) => each.correlation_id === correlation_id);
  return html`<details class="diff">
<summary>${method}${node && ` on ${node}`} <span class="note">${note}</span></summary>
<dl><dt>Repository</dt><dd>${repository}</dd><dt>User</dt><dd>${user}</dd><dt>Client</dt><dd>${client}</dd>
<dt>Correlation id</dt><dd>${correlation_id}</dd>${pairs}</dl>
${commandsOf(call, 'Git commands')}
${onNodes.map(onNode)}
</details>
`;
}

/** Shows what a node did for a call that praefect forwarded. */
function onNode(call: NodeCall): Html {
  const { duration_ms, method, node, status } = call;
  return html`<p>${node}: ${method}, ${formatDuration(duration_ms)}, ${status}</p>
${commandsOf(call, `Git commands of ${node}`)}`;
}

function commandsOf({ explanation }: SlowCall, name: string): Html | undefined {
  const { commands, omitted_commands, route } = explanation;
  // For a call that praefect has forwarded, the nodes know the commands.
  if (commands.length === 0) return route === undefined ? html`<p>No git command.</p>` : undefined;
  const lines = commands.map(({ args, cpu_ms, wall_ms }) => {
    const times = [wall_ms, cpu_ms].map((ms) => (ms === undefined ? 'runs' : formatDuration(ms)));
    return `${args.join(' ')}    # ${times[0]}, CPU ${times[1]}`;
  });
  return html`${codeFrame(name, lines.join('\n'))}
${omitted_commands > 0 ? html`<p>${omitted_commands} more commands.</p>` : undefined}`;
}

/** Returns facts by name, as text; those of an object with its name before theirs. */
function factsOf(facts: Readonly<Record<string, unknown>>): (readonly [name: string, text: string])[] {
  return Object.entries(facts).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.length === 0 ? [] : [[name, value.join(', ')] as const];
    if (typeof value !== 'object') return [[name, String(value)] as const];
    return factsOf(value as Readonly<Record<string, unknown>>).map(
      ([key, text]) => [`${name}.${key}`, text] as const,
    );
  });
}
