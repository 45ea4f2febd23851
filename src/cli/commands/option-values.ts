import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Moment } from '#tools/archive/archives';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** Collects the values of an option that may be repeated. */
export const collectValues = (value: string, others: readonly string[] = []): readonly string[] => [
  ...others,
  value,
];

/** Parses a number for commander. */
export function countOption(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It is no number from 0.');
  return value;
}

/**
 * Makes a command accept `--in` for its option `--to`; of both, the last one is used. The help does
 * not list it: it is the former name in `gitaly-ts token`, and a likely guess elsewhere.
 */
export function acceptIn(command: Command): Command {
  return command
    .addOption(new Option('--in <target>', 'the same as --to').hideHelp())
    .on('option:in', (value: string) => command.setOptionValue('to', value));
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

/**
 * Parses a moment for commander: the number of a generation, with or without the id of a
 * repository (`12@3f8a`), a time as ISO 8601, or one such as `12h` ago.
 */
export function parseMoment(text: string): Moment {
  const [, digits, id = ''] = /^(\d{1,12})(?:@([\da-f-]{1,36}))?$/.exec(text) ?? [];
  if (digits !== undefined) return { generation: Number(digits), id };
  if (/^\d{1,9}[smhd]$/.test(text)) return { timeMs: Date.now() - parseSeconds(text) * 1000 };
  const timeMs = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs))
    throw new InvalidArgumentError('Write a time such as 2026-11-28T16:00:00Z or 2h, or a number.');
  return { timeMs };
}

/** Parses a time such as `12h`, or `never`, for commander. @returns seconds; `Infinity` for `never`. */
export function parseLifetime(text: string): number {
  return text === 'never' ? Number.POSITIVE_INFINITY : parseSeconds(text);
}

/** Parses the name of a new backup. @throws {InvalidArgumentError} for one that would not be listed. */
export function backupId(text: string): string {
  if (/^(?![+.])[^/\p{Cc}]+$/u.test(text)) return text;
  throw new InvalidArgumentError(
    'It must not be empty, begin with "+" or ".", or contain "/" or control characters.',
  );
}
