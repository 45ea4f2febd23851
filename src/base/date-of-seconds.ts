/** Largest time of a `Date`, in seconds since 1970. */
const MAX_SECONDS = 8_640_000_000_000;

/**
 * Returns the date of a time in seconds since 1970. A time beyond the dates of JavaScript, such as
 * old gits wrote for times before 1970, is 1970-01-01, as `git log` shows it.
 */
export function dateOfSeconds(seconds: bigint | number): Date {
  const value = Number(seconds);
  return new Date(Math.abs(value) <= MAX_SECONDS ? value * 1000 : 0);
}
