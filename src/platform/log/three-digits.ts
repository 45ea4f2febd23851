/** Returns milliseconds from 0 to 999 as in the text of a time. Each line has several. */
export function threeDigits(milliseconds: number): string {
  if (milliseconds > 99) return String(milliseconds);
  return milliseconds > 9 ? `0${milliseconds}` : `00${milliseconds}`;
}
