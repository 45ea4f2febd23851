/** Name, address and time for the author, committer and tagger lines of an object. */
export interface Ident {
  readonly name: Uint8Array;
  readonly email: Uint8Array;
  /** Whole seconds since 1970. */
  readonly seconds: bigint;
  /** `+0200` */
  readonly timezone: string;
}

const LAST_YEAR = 2099;
/** After these the calendar is the same again, with its days of the week. */
const CYCLE_YEARS = 400n;
const CYCLE_SECONDS = 146_097n * 86_400n;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Returns `Name <email> 1600000000 +0200`, with name and address unchanged. */
export function formatIdent({ name, email, seconds, timezone }: Ident): Buffer {
  return Buffer.concat([
    bytes(name),
    Buffer.from(' <'),
    bytes(email),
    Buffer.from(`> ${seconds} ${timezone}`),
  ]);
}

/**
 * Cleans a name or an address as git does for a commit: removes white space and the punctuation
 * that mail programs leave around a name (`" ' \ , : ;`) from both ends, and characters that would
 * end the line or the address from everywhere. As in git since 2.46: a dot stays (`Sammy Davis
 * Jr.`).
 */
export function cleanIdent(text: Uint8Array): Buffer {
  let start = 0;
  let end = text.length;
  while (isCrud(text[start])) start++;
  while (isCrud(text[end - 1])) end--;
  return Buffer.from(
    text.subarray(start, end).filter((byte) => byte !== 0x0a && byte !== 0x3c && byte !== 0x3e),
  );
}

/** Reports whether there is a byte, and it is a space or below, or one of `" ' , : ; < > \`. */
function isCrud(byte: number | undefined): boolean {
  return byte !== undefined && (byte <= 0x20 || CRUD.includes(byte));
}

const CRUD = Buffer.from(`"',:;<>\\`);

/**
 * Reports whether git accepts a date for a commit: not before 1970 and not after 2099, neither in
 * UTC nor in the person's zone (`git commit-tree` parses a calendar date there).
 */
export function isCommitDate({ seconds, timezone }: Pick<Ident, 'seconds' | 'timezone'>): boolean {
  if (seconds < 0n) return false;
  const { year } = localTime(seconds, timezone);
  return year >= 1970 && year <= LAST_YEAR;
}

/** Formats a date as in messages: `Tue Nov 03 2020 12:07:57 +0200`. */
export function calendarDate({ seconds, timezone }: Pick<Ident, 'seconds' | 'timezone'>): string {
  const { date, year } = localTime(seconds, timezone);
  const two = (number: number): string => String(number).padStart(2, '0');
  const day = `${DAYS[date.getUTCDay()]} ${MONTHS[date.getUTCMonth()]} ${two(date.getUTCDate())}`;
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(':');
  return `${day} ${String(year).padStart(4, '0')} ${time} ${timezone}`;
}

/**
 * Returns the year of the person's calendar, and a date whose other UTC fields are those of it. A
 * date has no such year if it is some 270,000 years away.
 */
function localTime(seconds: bigint, timezone: string): { readonly date: Date; readonly year: bigint } {
  const sign = timezone.startsWith('-') ? -1 : 1;
  const offsetSeconds = sign * (Number(timezone.slice(1, 3)) * 3600 + Number(timezone.slice(3, 5)) * 60);
  const local = seconds + BigInt(offsetSeconds);
  const rest = ((local % CYCLE_SECONDS) + CYCLE_SECONDS) % CYCLE_SECONDS;
  const date = new Date(Number(rest) * 1000);
  const cycles = (local - rest) / CYCLE_SECONDS;
  return { date, year: BigInt(date.getUTCFullYear()) + cycles * CYCLE_YEARS };
}

function bytes(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
