import { messageOf } from '#base/gitaly-error';
import { quote } from '#base/quote';

/** Values of a log line by name. Names with dots are flat. `undefined` values are left out. */
export type LogFields = Readonly<Record<string, unknown>>;

export type LogFormat = 'text' | 'json';

/** Writes one line, with the newline. `level` is the name in the line (`warning`, not `warn`). */
export type FormatLine = (time: Date, level: string, message: string, fields: LogFields) => string;

/** Names that the line itself uses; a field of that name gets a prefix, so that nothing is lost. */
const RESERVED = new Set(['time', 'level', 'msg']);

/** The lines of Gitaly's log (logrus): JSON with sorted keys, or `key=value` with time, level and message first. */
export const formatLine: Readonly<Record<LogFormat, FormatLine>> = { json: formatJson, text: formatText };

function formatJson(time: Date, level: string, message: string, fields: LogFields): string {
  const keys = sortedKeys(fields);
  let line = '{';
  let head = 0;
  // level, msg and time take their places between the other keys.
  const heads = [`"level":"${level}"`, `"msg":${JSON.stringify(message)}`, `"time":"${time.toISOString()}"`];
  for (const key of keys) {
    while (head < 3 && (HEAD_NAMES[head] ?? '') < key) line += `${line === '{' ? '' : ','}${heads[head++]}`;
    line += `${line === '{' ? '' : ','}"${key}":${jsonValue(fields[unprefixed(key, fields)])}`;
  }
  while (head < 3) line += `${line === '{' ? '' : ','}${heads[head++]}`;
  return `${escapeHtml(line)}}\n`;
}

const HEAD_NAMES = ['level', 'msg', 'time'];

/** Go's encoder writes these characters as escapes, so that JSON can stand in HTML. */
function escapeHtml(json: string): string {
  if (!/[<>&\u2028\u2029]/.test(json)) return json;
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function jsonValue(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      return JSON.stringify(plain(value)) ?? '""';
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
  return Object.fromEntries(
    Object.entries(value)
      .sort(byName)
      .map(([key, inner]) => [key, plain(inner)]),
  );
}

function byName([left]: readonly [string, unknown], [right]: readonly [string, unknown]): number {
  return left < right ? -1 : 1;
}

function formatText(time: Date, level: string, message: string, fields: LogFields): string {
  let line = `time="${time.toISOString()}" level=${level}`;
  if (message !== '') line += ` msg=${textValue(message)}`;
  for (const key of sortedKeys(fields)) line += ` ${key}=${textValue(fields[unprefixed(key, fields)])}`;
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
  if (value instanceof Error) return messageOf(value);
  if (value instanceof Map) return show(Object.fromEntries(value));
  if (Array.isArray(value) || value instanceof Set || value instanceof Uint8Array) return `[${[...value].map(show).join(' ')}]`;
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return String(value);
  return `map[${Object.entries(value)
    .sort(byName)
    .map(([key, inner]) => `${key}:${show(inner)}`)
    .join(' ')}]`;
}

function sortedKeys(fields: LogFields): string[] {
  const keys: string[] = [];
  for (const key in fields) if (fields[key] !== undefined) keys.push(RESERVED.has(key) ? `fields.${key}` : key);
  return keys.sort();
}

function unprefixed(key: string, fields: LogFields): string {
  return key in fields ? key : key.slice('fields.'.length);
}
