import { JsonFields } from '#base/json-fields';
import { textTable } from '../admin/text-table.ts';

/** A finished call and its explanation. */
export interface Explained {
  readonly method: string;
  /** Name of the status, `OK` or `NotFound`. */
  readonly code: string;
  readonly message: string;
  readonly responses: number;
  /** Duration as the client saw it, with the network. */
  readonly client_ms: number;
  /** The server's JSON; `undefined` if the server did not explain. */
  readonly explanation: Readonly<Record<string, unknown>> | undefined;
}

/** Keys that the head and the table of commands show. */
const SHOWN = new Set(['time_ms', 'commands', 'omitted_commands']);

/** Renders a call as text: its status, the commands, and the other facts by name. */
export function renderExplanation(explained: Explained): string {
  const { method, code, message, responses, client_ms, explanation } = explained;
  const status = message === '' ? code : `${code}: ${message}`;
  const head = clean(`${method}  ${status}`);
  const fields = JsonFields.of(explanation);
  if (explanation === undefined || fields === undefined)
    return `${head}\n${count(responses, 'response')} in ${msText(client_ms)}\n`;
  const timeMs = fields.number('time_ms') ?? 0;
  const answered = `${count(responses, 'response')} in ${msText(client_ms)}`;
  const times = `${answered}, ${msText(timeMs)} of it in the server`;
  return [`${head}\n${times}\n`, commandsText(fields), factsText(explanation)]
    .filter((part) => part !== '')
    .join('\n');
}

function commandsText(fields: JsonFields): string {
  const rows = (fields.list('commands') ?? []).map((item) => {
    const command = JsonFields.of(item);
    const args = (command?.list('args') ?? []).map((arg) => shellWord(String(arg)));
    return [
      msText(command?.number('wall_ms')),
      msText(command?.number('cpu_ms')),
      String(command?.number('exit_code') ?? '-'),
      clean(args.join(' ')),
    ];
  });
  const omitted = fields.number('omitted_commands') ?? 0;
  if (rows.length === 0 && omitted === 0) return 'no command ran\n';
  const more = omitted === 0 ? '' : `and ${count(omitted, 'further command')}\n`;
  return textTable([['WALL', 'CPU', 'EXIT', 'COMMAND'], ...rows], false) + more;
}

function factsText(explanation: Readonly<Record<string, unknown>>): string {
  const rows = Object.entries(explanation)
    .filter(([name]) => !SHOWN.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [clean(name), clean(typeof value === 'string' ? value : JSON.stringify(value))]);
  return rows.length === 0 ? '' : textTable([['FACT', 'VALUE'], ...rows], false);
}

function msText(ms: number | undefined): string {
  return ms === undefined ? '-' : `${ms.toFixed(1)}ms`;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? '' : 's'}`;
}

/** Quotes a word that a shell would split or change. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./^~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Replaces control characters, because names come from repositories. */
function clean(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?');
}
