export type Level = 'ok' | 'warning' | 'error';

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at: `git`, `storage default`. */
  readonly subject: string;
  readonly level: Level;
  readonly message: string;
  /** What to do about it; for everything that is not ok. */
  readonly fix?: string;
}

export function ok(subject: string, message: string): Finding {
  return { subject, level: 'ok', message };
}

export function warning(subject: string, message: string, fix: string): Finding {
  return { subject, level: 'warning', message, fix };
}

export function failure(subject: string, message: string, fix: string): Finding {
  return { subject, level: 'error', message, fix };
}
