/** Converts a name or path to bytes, as they are in git. Text is encoded as UTF-8. */
export function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}
