import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** JavaScript's dates end at these seconds. */
const MAX_SECONDS = 8_640_000_000_000;

/**
 * Formats an instant as Gitaly writes it for `rev-list`: `2006-01-02 15:04:05 +0000 UTC`. Fractions
 * are omitted; git ignores them.
 */
export function goTime({ seconds }: Timestamp): string {
  return `${isoDate(seconds).replace('T', ' ')} +0000 UTC`;
}

/** Formats an instant as `2006-01-02T15:04:05Z`. */
export function rfc3339({ seconds }: Timestamp): string {
  return `${isoDate(seconds)}Z`;
}

/**
 * Formats an instant in protobuf's text form: `seconds:1600000000 nanos:5`. Gitaly passes it to
 * `git log` in this form. git reads the number as seconds since 1970 only if it has nine digits or
 * more, which is observable.
 */
export function protobufText({ seconds, nanos }: Timestamp): string {
  return [seconds === 0n ? '' : `seconds:${seconds}`, nanos === 0 ? '' : `nanos:${nanos}`]
    .filter(Boolean)
    .join(' ');
}

function isoDate(seconds: bigint): string {
  const inRange = Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, Number(seconds)));
  return new Date(inRange * 1000).toISOString().slice(0, -'.000Z'.length);
}
