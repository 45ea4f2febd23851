import { InvalidArgumentError } from 'commander';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

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

/** Parses a time such as `12h` for commander. @returns seconds. */
export function parseSeconds(text: string): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(digits) * (SECONDS[unit] ?? 0);
  if (seconds === 0) throw new InvalidArgumentError('Write a time such as 90m, 12h or 30d.');
  return seconds;
}
