import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { type LineOrder, LineOrders, type LogFields } from './line-order.ts';

export type LogFormat = 'text' | 'json';

/** Writes one line, with the newline. `level` is the name in the line (`warning`, not `warn`). */
export type FormatLine = (time: Date, level: string, message: string, fields: LogFields) => string;

/** The lines of Gitaly's log (logrus): JSON with sorted keys, or `key=value` with time, level and message first. */
export function lineFormatter(format: LogFormat): FormatLine {
  const orders = new LineOrders();
  const timestamp = timestamps();
  if (format === 'text') {
    return (time, level, message, fields) => formatText(timestamp(time), level, message, fields, orders.orderOf(fields));
  }
  return (time, level, message, fields) => formatJson(timestamp(time), level, message, fields, orders.orderOf(fields));
}

function formatJson(time: string, level: string, message: string, fields: LogFields, order: LineOrder): string {
  let line = '';
  for (const { key, prefix, head } of order.json) {
    if (head === undefined) line += prefix + jsonValue(fields[key]);
    else if (head === 'time') line += `${prefix}"${time}"`;
    else line += prefix + jsonString(head === 'level' ? level : message);
  }
  return `${line}}\n`;
}

/** What JSON, or HTML around it, needs escaped. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const NEEDS_ESCAPE = /["\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]/;

function jsonString(text: string): string {
  return NEEDS_ESCAPE.test(text) ? escapeHtml(JSON.stringify(text)) : `"${text}"`;
}

/** Go's encoder writes these characters as escapes, so that JSON can stand in HTML. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function jsonValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return jsonString(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      return escapeHtml(JSON.stringify(plain(value)) ?? '""');
  }
}

/** Objects with sorted keys, errors as their messages, bytes as base64, as Go encodes maps, errors and bytes. */
function plain(value: unknown): unknown {
  if (value instanceof Error) return value.message;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof Map) return plain(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set) return [...value].map(plain);
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return value;
  const entries = Object.entries(value).sort(byName);
  return Object.fromEntries(entries.map(([key, inner]) => [key, plain(inner)]));
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}

function formatText(time: string, level: string, message: string, fields: LogFields, order: LineOrder): string {
  let line = `time="${time}" level=${level}`;
  if (message !== '') line += ` msg=${textValue(message)}`;
  for (const { key, prefix } of order.text) line += prefix + textValue(fields[key]);
  return `${line}\n`;
}

/** What logrus leaves without quotes; the empty value too. */
const BARE = /^[a-zA-Z0-9\-._/@^+]*$/;
const PRINTABLE_ASCII = /^[ -~]*$/;

function textValue(value: unknown): string {
  const text = show(value);
  if (BARE.test(text)) return text;
  return PRINTABLE_ASCII.test(text) ? JSON.stringify(text) : quote(text); // the same result; the engine's own is faster
}

/** Go's plain printing: `[a b]` for lists, `map[k:v]` for maps. */
function show(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (value instanceof Error) return messageOf(value);
  if (value instanceof Map) return show(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set || value instanceof Uint8Array) return `[${[...value].map(show).join(' ')}]`;
  if ('toJSON' in value) return String(value);
  const entries = Object.entries(value).sort(byName);
  return `map[${entries.map(([key, inner]) => `${key}:${show(inner)}`).join(' ')}]`;
}

/** `2026-11-20T08:44:37.560Z`; the part up to the second is made once a second. */
function timestamps(): (time: Date) => string {
  let lastSecond = Number.NaN;
  let text = '';
  return (time) => {
    const milliseconds = time.getTime();
    const second = Math.floor(milliseconds / 1000);
    if (second !== lastSecond) {
      lastSecond = second;
      text = time.toISOString().slice(0, -4);
    }
    return `${text}${String(milliseconds - second * 1000).padStart(3, '0')}Z`;
  };
}
