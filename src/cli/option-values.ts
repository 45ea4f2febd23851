import { InvalidArgumentError } from 'commander';

/** Parses a number for commander. */
export function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It is no number from 0.');
  return value;
}

/** Returns the default name of a backup: the time in UTC, as `YYYYMMDDhhmmss`. */
export function timeId(now: Date): string {
  return now.toISOString().replace(/\D/g, '').slice(0, 'YYYYMMDDhhmmss'.length);
}
