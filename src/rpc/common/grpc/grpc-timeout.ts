/** The format allows eight digits. */
const MAX_DIGITS_VALUE = 99_999_999;
const MAX_DIGITS = 8;

/**
 * Parses `grpc-timeout` into milliseconds (a fraction is possible). Returns `undefined` for
 * malformed text. Every call runs this.
 */
export function parseGrpcTimeout(text: string): number | undefined {
  const digits = text.length - 1;
  if (digits < 1 || digits > MAX_DIGITS) return undefined;
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  switch (text.charAt(digits)) {
    case 'H':
      return value * 3_600_000;
    case 'M':
      return value * 60_000;
    case 'S':
      return value * 1000;
    case 'm':
      return value;
    case 'u':
      return value / 1000;
    case 'n':
      return value / 1_000_000;
    default:
      return undefined;
  }
}

/**
 * Formats a duration with the finest unit that fits, at most microseconds; zero and less are `0m`.
 * Rounds up.
 */
export function formatGrpcTimeout(milliseconds: number): string {
  if (!(milliseconds > 0)) return '0m';
  if (milliseconds * 1000 <= MAX_DIGITS_VALUE) return `${Math.ceil(milliseconds * 1000)}u`;
  if (milliseconds <= MAX_DIGITS_VALUE) return `${Math.ceil(milliseconds)}m`;
  const seconds = Math.ceil(milliseconds / 1000);
  if (seconds <= MAX_DIGITS_VALUE) return `${seconds}S`;
  return `${Math.min(Math.ceil(seconds / 3600), MAX_DIGITS_VALUE)}H`;
}
