/** Names and paths are bytes in git; text stands for its UTF-8 bytes. */
export function toBytes(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? Buffer.from(text) : text;
}
