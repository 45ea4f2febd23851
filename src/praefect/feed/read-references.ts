import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** References that are compared one by one; of more it is only known that they may have changed. */
export const MAX_REFERENCES = 10_000;
const LIMIT_MS = 30_000;
const HEAD = 'HEAD';

/** Values by full name, one character per byte: object ids, of HEAD `ref: <name>`. */
export type Values = ReadonlyMap<string, string>;

/**
 * Reads HEAD and all references of a replica.
 *
 * @returns `undefined` if there are too many.
 */
export async function readReferences(
  { connection, storage }: GitalyNode,
  replicaPath: string,
): Promise<Values | undefined> {
  const repository = { storageName: storage, relativePath: replicaPath };
  const options = { timeoutMs: LIMIT_MS };
  const values = new Map<string, string>();
  const { name } = await connection.ref.findDefaultBranchName({ repository, headOnly: true }, options);
  if (name.length > 0) values.set(HEAD, `ref: ${latin1(name)}`);
  const listed = connection.ref.listRefs({ repository, patterns: [Buffer.from('refs/')] }, options);
  for await (const { references } of listed) {
    for (const reference of references) values.set(latin1(reference.name), reference.target);
    if (values.size > MAX_REFERENCES) return undefined;
  }
  return values;
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
