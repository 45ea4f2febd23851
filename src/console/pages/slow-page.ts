import { codeFrame } from '../html/elements.ts';
import { formatDuration, instant } from '../html/format.ts';
import { type Html, html } from '../html/html.ts';
import { type Page, problemPage } from '../page.ts';
import type { ConsoleHistory, HistorySource } from '../server-history.ts';
import type { Visit } from '../visit.ts';

type SlowCall = ConsoleHistory['slow_calls'][number];

/** Shows the last calls that took long, with the git commands and facts that explain them. */
export async function slowPage({ query }: Visit, source: HistorySource | undefined): Promise<Page> {
  const history = await source?.();
  if (history === undefined)
    return problemPage(404, 'Not available', 'The server keeps no history of its calls here.');
  const over = Number(query.get('over')) || history.slow_ms;
  const calls = history.slow_calls.filter(({ duration_ms }) => duration_ms >= over);
  return {
    title: 'Slow calls',
    section: 'slow',
    data: { slow_ms: history.slow_ms, over_ms: over, calls },
    body: html`<h1>Slow calls</h1>
<p>The last 100 calls that took ${formatDuration(history.slow_ms)} or longer.</p>
${calls.length === 0 ? html`<p>None.</p>` : calls.map(details)}`,
  };
}

function details(call: SlowCall): Html {
  const { client, correlation_id, duration_ms, method, repository, status, time, user } = call;
  const { commands, omitted_commands, time_ms: _, ...facts } = call.explanation;
  const lines = commands.map(({ args, cpu_ms, wall_ms }) => {
    const times = [wall_ms, cpu_ms].map((ms) => (ms === undefined ? 'runs' : formatDuration(ms)));
    return `${args.join(' ')}    # ${times[0]}, CPU ${times[1]}`;
  });
  const pairs = factsOf(facts).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`);
  const note = html`${formatDuration(duration_ms)}, ${status}, ${instant(new Date(time))}`;
  return html`<details class="diff">
<summary>${method} <span class="note">${note}</span></summary>
<dl><dt>Repository</dt><dd>${repository}</dd><dt>User</dt><dd>${user}</dd><dt>Client</dt><dd>${client}</dd>
<dt>Correlation id</dt><dd>${correlation_id}</dd>${pairs}</dl>
${lines.length === 0 ? noCommands(facts) : codeFrame('Git commands', lines.join('\n'))}
${omitted_commands > 0 ? html`<p>${omitted_commands} more commands.</p>` : undefined}
</details>
`;
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

/** Of a call that praefect has passed on, the nodes know the commands. */
function noCommands({ route }: Readonly<Record<string, unknown>>): Html | undefined {
  return route === undefined ? html`<p>No git command.</p>` : undefined;
}
