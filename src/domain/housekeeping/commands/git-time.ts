const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Returns a time for git's options, in UTC: `Fri Nov 20 2026 06:52:26 +0000`. */
export function gitTime(ms: number): string {
  const time = new Date(ms);
  const clock = time.toISOString().slice(11, 19);
  const day = String(time.getUTCDate()).padStart(2, '0');
  const date = `${DAYS[time.getUTCDay()]} ${MONTHS[time.getUTCMonth()]} ${day} ${time.getUTCFullYear()}`;
  return `${date} ${clock} +0000`;
}
