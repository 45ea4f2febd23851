/** Name, address and time of a person in a commit or a tag. Bytes are git's. */
export interface Signature {
  readonly name: Buffer;
  readonly email: Buffer;
  /** Seconds since 1970; `undefined` if the line ends after the e-mail address. */
  readonly seconds: bigint | undefined;
  /** The second word after the e-mail address, unchecked; empty unless there are exactly two. */
  readonly timezone: Buffer;
}

/** Value for an invalid, negative or excessive date (Gitaly: Go's largest time). */
export const FALLBACK_SECONDS = 9_223_371_974_719_179_007n;
/** Later dates are treated as invalid. */
const MAX_SECONDS = 1n << 53n;

const EMPTY = Buffer.alloc(0);
const SPACE = 0x20;
const ZERO = 0x30;
const NINE = 0x39;
const PLUS = 0x2b;
/** Numbers with this many digits are exact. */
const SAFE_DIGITS = 15;
/** Longer numbers are later than {@link MAX_SECONDS}. */
const MAX_DIGITS = 16;
/** Words of a date, and one more, which makes them too many. */
const MAX_WORDS = 3;
/** ` 0 Z` */
const MIN_DATE_BYTES = 4;

/**
 * Parses `Name <email> 1600000000 +0200`. Nothing is refused: missing parts are omitted as in
 * Gitaly, because old repositories contain every variant.
 */
export function parseIdent(line: Buffer): Signature {
  const open = line.indexOf('<');
  if (open === -1) return { name: line, email: EMPTY, seconds: undefined, timezone: EMPTY };
  const name = line.subarray(0, line[open - 1] === SPACE ? open - 1 : open);
  const close = line.indexOf('>', open + 1);
  if (close === -1) return { name, email: EMPTY, seconds: undefined, timezone: EMPTY };
  const email = line.subarray(open + 1, close);
  const plain = parsePlainDate(line, close + 1);
  if (plain !== undefined) return { name, email, ...plain };
  const words = firstWords(line.subarray(close + 1));
  const [date, zone] = words;
  if (date === undefined) return { name, email, seconds: undefined, timezone: EMPTY };
  return {
    name,
    email,
    seconds: parseSeconds(date),
    timezone: words.length === 2 && zone !== undefined ? zone : EMPTY,
  };
}

/**
 * Parses the rest of nearly all lines: a space, a number, a space, a zone. Returns `undefined` for
 * any other.
 */
function parsePlainDate(line: Buffer, start: number): Pick<Signature, 'seconds' | 'timezone'> | undefined {
  if (line.length - start < MIN_DATE_BYTES || line[start] !== SPACE) return undefined;
  let seconds = 0;
  let at = start + 1;
  for (let byte = line[at] ?? 0; byte >= ZERO && byte <= NINE; byte = line[++at] ?? 0)
    seconds = seconds * 10 + byte - ZERO;
  const digits = at - start - 1;
  if (digits === 0 || digits > SAFE_DIGITS || line[at] !== SPACE || at + 1 === line.length) return undefined;
  for (let rest = at + 1; rest < line.length; rest++) if ((line[rest] ?? 0) <= SPACE) return undefined;
  return { seconds: BigInt(seconds), timezone: line.subarray(at + 1) };
}

function parseSeconds(word: Buffer): bigint {
  let at = word[0] === PLUS ? 1 : 0;
  if (at === word.length) return FALLBACK_SECONDS;
  while (word[at] === ZERO) at++;
  // A number of megabytes would block the event loop for seconds.
  if (word.length - at > MAX_DIGITS) return FALLBACK_SECONDS;
  const text = word.toString('latin1', at);
  if (!/^\d*$/.test(text)) return FALLBACK_SECONDS;
  const seconds = BigInt(text);
  return seconds > MAX_SECONDS ? FALLBACK_SECONDS : seconds;
}

/**
 * Returns the first words between white space (tab, LF, VT, FF, CR, space), at most
 * {@link MAX_WORDS}: a line may have millions.
 */
function firstWords(line: Buffer): Buffer[] {
  const words: Buffer[] = [];
  let start = -1;
  for (let at = 0; at <= line.length && words.length < MAX_WORDS; at++) {
    const byte = line[at] ?? SPACE;
    const isSpace = byte === SPACE || (byte >= 9 && byte <= 13);
    if (!isSpace && start === -1) start = at;
    else if (isSpace && start !== -1) {
      words.push(line.subarray(start, at));
      start = -1;
    }
  }
  return words;
}
