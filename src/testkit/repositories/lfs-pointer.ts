import { createHash } from 'node:crypto';

/** The object that a pointer represents: its SHA-256 in hexadecimal, and its size in bytes. */
export interface LfsObject {
  readonly oid: string;
  readonly size: number;
}

/** Returns the text of the Git LFS pointer for a content, or for an object that exists nowhere. */
export function lfsPointer(object: string | Uint8Array | LfsObject): string {
  const { oid, size } =
    typeof object === 'string' || object instanceof Uint8Array ? objectOf(object) : object;
  return `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize ${size}\n`;
}

function objectOf(content: string | Uint8Array): LfsObject {
  return {
    oid: createHash('sha256').update(content).digest('hex'),
    size: Buffer.byteLength(content),
  };
}
