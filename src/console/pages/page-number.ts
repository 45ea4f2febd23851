/** Returns the natural number in a parameter of an address; 0 for anything else. */
export function naturalNumber(text: string | null): number {
  return text !== null && /^\d{1,9}$/.test(text) ? Number(text) : 0;
}
