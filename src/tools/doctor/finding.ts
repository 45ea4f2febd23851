export type Level = 'ok' | 'warning' | 'error';

/** The result of one check. */
export interface Finding {
  /** Subject of the check: `git`, `storage default`. */
  readonly subject: string;
  readonly level: Level;
  readonly message: string;
  /** Remedy, for every result that is not ok. */
  readonly fix?: string;
}

/** Advice for files that doctor itself is not allowed to read. */
export const NOT_ALLOWED =
  'Run doctor as the user of the server, or as root; if that is the user, make it the owner.';

export function ok(subject: string, message: string): Finding {
  return { subject, level: 'ok', message };
}

export function warning(subject: string, message: string, fix: string): Finding {
  return { subject, level: 'warning', message, fix };
}

export function failure(subject: string, message: string, fix: string): Finding {
  return { subject, level: 'error', message, fix };
}
