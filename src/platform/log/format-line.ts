import { escapeHtml, jsonText } from '#base/go/encoding/json';
import { jsonValue, print } from '#base/go/print';
import { quote } from '#base/go/quote';
import type { FieldList } from './field-list.ts';
import { type LineHead, type LineOrder, LineOrders } from './line-order.ts';
import { threeDigits } from './three-digits.ts';

/** Longer texts are not kept for later lines. */
const MAX_KEPT_CHARS = 200;

export type LogFormat = 'text' | 'json';

/**
 * Formats one line, including the newline. `level` is the name in the line (`warning`, not `warn`).
 */
export type FormatLine = (time: Date, level: string, message: string, fields: FieldList) => string;

/**
 * Returns a formatter for the lines of Gitaly's log (logrus): JSON with sorted keys, or `key=value`
 * with time, level and message first.
 */
export function lineFormatter(format: LogFormat): FormatLine {
  const orders = new LineOrders();
  const timestamp = timestamps();
  if (format === 'text') {
    return (time, level, message, fields) =>
      formatText(timestamp(time), level, message, fields.values, orders.orderOf(fields));
  }
  return (time, level, message, fields) =>
    formatJson({ time: timestamp(time), level, msg: message }, fields.values, orders.orderOf(fields));
}

/**
 * Most values are the same as in the previous line (the client's, the method's), so their text is
 * made once. The line is joined from pieces: appending them one by one makes twice as much garbage.
 */
function formatJson(
  heads: Readonly<Record<LineHead, string>>,
  values: readonly unknown[],
  { json, pieces }: LineOrder,
): string {
  for (let at = 0; at < json.length; at++) {
    const place = json[at];
    if (place === undefined) continue;
    const value = place.head === undefined ? values[place.index] : heads[place.head];
    if (value === place.lastValue) continue;
    pieces[at] = place.prefix + jsonField(value);
    place.lastValue = isKept(value) ? value : undefined;
  }
  return pieces.join('');
}

/** Reports whether a value is immutable and small. */
function isKept(value: unknown): boolean {
  return typeof value === 'string' ? value.length <= MAX_KEPT_CHARS : typeof value !== 'object';
}

function jsonField(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return jsonText(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      return escapeHtml(JSON.stringify(jsonValue(value)) ?? '""');
  }
}

function formatText(
  time: string,
  level: string,
  message: string,
  values: readonly unknown[],
  order: LineOrder,
): string {
  let line = `time="${time}" level=${level}`;
  if (message !== '') line += ` msg=${textValue(message)}`;
  for (const { index, prefix } of order.text) line += prefix + textValue(values[index]);
  return `${line}\n`;
}

/** Values that logrus does not quote, including the empty value. */
const BARE = /^[a-zA-Z0-9\-._/@^+]*$/;
const PRINTABLE_ASCII = /^[ -~]*$/;

function textValue(value: unknown): string {
  const text = print(value);
  if (BARE.test(text)) return text;
  return PRINTABLE_ASCII.test(text) ? JSON.stringify(text) : quote(text); // same result, but faster
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
    return `${text}${threeDigits(milliseconds - second * 1000)}Z`;
  };
}
