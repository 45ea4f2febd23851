import type { Timestamp } from '@bufbuild/protobuf/wkt';

/** Beyond these JavaScript has no calendar; nobody asks for such dates. */
const MAX_SECONDS = 8_640_000_000_000;

/** `2006-01-02 15:04:05 +0000 UTC`: an instant as Gitaly writes it for `rev-list`. Fractions are left out, git drops them anyhow. */
export function goTime({ seconds }: Timestamp): string {
  return `${isoDate(seconds).replace('T', ' ')} +0000 UTC`;
}

/** `2006-01-02T15:04:05Z`. */
export function rfc3339({ seconds }: Timestamp): string {
  return `${isoDate(seconds)}Z`;
}

/**
 * `seconds:1600000000 nanos:5`: an instant in protobuf's text form. Gitaly hands it to `git log` like this, and git takes the number for
 * seconds since 1970 only when it has nine digits or more, which is observable.
 */
export function protobufText({ seconds, nanos }: Timestamp): string {
  return [seconds === 0n ? '' : `seconds:${seconds}`, nanos === 0 ? '' : `nanos:${nanos}`].filter(Boolean).join(' ');
}

function isoDate(seconds: bigint): string {
  const inRange = Math.max(-MAX_SECONDS, Math.min(MAX_SECONDS, Number(seconds)));
  return new Date(inRange * 1000).toISOString().slice(0, -'.000Z'.length);
}
