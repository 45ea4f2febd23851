import { existsSync, statSync } from 'node:fs';
import { invalidArgument } from '#base/gitaly-error';

/** The zones of the C library and of Gitaly. Their names are case-sensitive, unlike Node's. */
const ZONE_DIRECTORY = '/usr/share/zoneinfo';

/**
 * Returns the offset of a zone from UTC at an instant, in minutes.
 *
 * @param name an IANA name; empty for UTC, `Local` for the server's own zone.
 * @throws {GitalyError} INVALID_ARGUMENT `unknown time zone X`, `time: invalid location name`.
 */
export function zoneOffsetMinutes(name: string, seconds: bigint): number {
  if (name === '' || name === 'UTC') return 0;
  const date = new Date(Number(seconds) * 1000);
  if (name === 'Local') return -date.getTimezoneOffset();
  if (name.split(/[/\\]/).includes('..') || /^[/\\]/.test(name)) {
    throw invalidArgument('time: invalid location name');
  }
  const format = isKnown(name) ? formatOf(name) : undefined;
  if (format === undefined) throw invalidArgument(`unknown time zone ${name}`);
  const text = format.formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const match = /([+-\u2212])(\d\d):(\d\d)/.exec(text);
  const minutes = Number(match?.[2] ?? 0) * 60 + Number(match?.[3] ?? 0);
  return match?.[1] === '+' ? minutes : -minutes || 0;
}

/** Formats an offset as `+0545`. */
export function formatOffset(minutes: number): string {
  const distance = Math.abs(minutes);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}${two(distance % 60)}`;
}

function isKnown(name: string): boolean {
  if (!/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  if (!existsSync(ZONE_DIRECTORY)) return true;
  return statSync(`${ZONE_DIRECTORY}/${name}`, { throwIfNoEntry: false })?.isFile() === true;
}

/** Formats are expensive to make. There are some 600 zones. */
const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(name: string): Intl.DateTimeFormat | undefined {
  const known = formats.get(name);
  if (known !== undefined) return known;
  try {
    const format = new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' });
    formats.set(name, format);
    return format;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
