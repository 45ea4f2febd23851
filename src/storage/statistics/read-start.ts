import { open } from 'node:fs/promises';

/**
 * Reads the first `length` bytes of a file. @throws {Error} `EOF` when it is empty,
 * `unexpected EOF` when it has fewer.
 */
export async function readStart(file: string, length: number): Promise<Buffer> {
  await using handle = await open(file, 'r');
  const bytes = Buffer.alloc(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await handle.read(bytes, read, length - read, read);
    if (bytesRead === 0) throw new Error(read === 0 ? 'EOF' : 'unexpected EOF');
    read += bytesRead;
  }
  return bytes;
}
