/**
 * Returns the error text of Go's time package for a time zone that it does not read as `-0700`;
 * `undefined` for a good one.
 */
export function zoneProblem(zone: string): string | undefined {
  const [, hours, minutes] = /^[+-](\d\d)(\d\d)/.exec(zone) ?? [];
  if (hours === undefined || minutes === undefined)
    return `parsing time "${zone}" as "-0700": cannot parse "${zone}" as "-0700"`;
  if (Number(minutes) > 60) return `parsing time "${zone}": time zone offset minute out of range`;
  if (Number(hours) > 24) return `parsing time "${zone}": time zone offset hour out of range`;
  return zone.length > 5 ? `parsing time "${zone}": extra text: "${zone.slice(5)}"` : undefined;
}
