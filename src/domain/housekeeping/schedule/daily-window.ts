/** The daily time of maintenance, in the server's time zone. */
export interface DailyWindow {
  readonly startHour: number;
  readonly startMinute: number;
  readonly durationMs: number;
}

/** Returns the next start of the window after a moment. Daylight saving moves it with the clock. */
export function nextStart({ startHour, startMinute }: DailyWindow, after: Date): Date {
  const start = new Date(after);
  start.setHours(startHour, startMinute, 0, 0);
  if (start <= after) start.setDate(start.getDate() + 1);
  return start;
}
