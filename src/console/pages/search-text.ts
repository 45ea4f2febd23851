/** Returns the text of a parameter to search for, up to a length, without NUL, which git cannot take. */
export function searchText(text: string | null, maxLength: number): string {
  return (text ?? '').replaceAll('\0', '').slice(0, maxLength);
}
