import { existsSync, statSync } from 'node:fs';
import { invalidArgument } from '#base/gitaly-error';
import type { Ident } from '#git/objects/write/format-ident';

/** Seconds of 0001-01-01 00:00:00 UTC, the zero value of a time in Go: Gitaly takes it for now. */
const GO_ZERO_TIME = -62_135_596_800n;

/** Seconds of the last date of JavaScript, in the year 275760; a zone stays as it is then. */
const LAST_DATE = 8_640_000_000_000n;

/** A user of a request. */
export interface Person {
  readonly name: Uint8Array;
  readonly email: Uint8Array;
  /** IANA name; empty for UTC. */
  readonly timezone: string;
}

/** A change on behalf of a user. */
export interface UserChange {
  readonly user: Person;
  /** Time of what the change creates, since 1970; `undefined` for now. */
  readonly seconds: bigint | undefined;
}

/** The zones of the C library and of Gitaly. Their names are case-sensitive, unlike Node's. */
const ZONE_DIRECTORY = '/usr/share/zoneinfo';

/** Formats are expensive to make. There are some 600 zones. */
const formats = new Map<string, Intl.DateTimeFormat>();

/**
 * Returns the identity of a person for a new object. Line feeds and angle brackets are removed from
 * the name and the address.
 *
 * @param seconds since 1970; `undefined` for now. The zero value of Go is also now, but as the
 *   server's clock shows it.
 * @throws {GitalyError} INVALID_ARGUMENT for an unknown time zone (see
 *   {@link zoneOffsetMinutes}).
 */
export function signatureOf(person: Person, seconds: bigint | undefined): Ident {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const offset = zoneOffsetMinutes(person.timezone, seconds ?? now); // throws for an unknown zone
  const names = { name: withoutDelimiters(person.name), email: withoutDelimiters(person.email) };
  if (seconds === GO_ZERO_TIME)
    return { ...names, seconds: now, timezone: formatOffset(zoneOffsetMinutes('Local', now)) };
  return { ...names, seconds: seconds ?? now, timezone: formatOffset(offset) };
}

/** Line feeds and angle brackets delimit the parts of an identity. */
function withoutDelimiters(text: Uint8Array): Uint8Array {
  // As a string, with one character per byte: a mebibyte takes 2 ms instead of 80.
  const cleaned = Buffer.from(text)
    .toString('latin1')
    .replace(/[\n<>]+/g, '');
  return Buffer.from(cleaned, 'latin1');
}

/**
 * Returns the offset of a zone from UTC at an instant, in minutes.
 *
 * @param name an IANA name; empty for UTC, `Local` for the server's own zone.
 * @throws {GitalyError} INVALID_ARGUMENT `unknown time zone X`, `time: invalid location name`.
 */
function zoneOffsetMinutes(name: string, seconds: bigint): number {
  if (name === '' || name === 'UTC') return 0;
  const near = seconds > LAST_DATE ? LAST_DATE : seconds < -LAST_DATE ? -LAST_DATE : seconds;
  const date = new Date(Number(near) * 1000);
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
function formatOffset(minutes: number): string {
  const distance = Math.abs(minutes);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(distance / 60))}${two(distance % 60)}`;
}

function isKnown(name: string): boolean {
  if (!/^[A-Za-z0-9_+-]+(\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  if (!existsSync(ZONE_DIRECTORY)) return true;
  return statSync(`${ZONE_DIRECTORY}/${name}`, { throwIfNoEntry: false })?.isFile() === true;
}

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
