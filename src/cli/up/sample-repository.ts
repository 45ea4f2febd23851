import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { deflateSync } from 'node:zlib';
import { codeOf } from '#base/gitaly-error';
import { FLUSH_PACKET, textPacket } from '#base/pkt-line/packet';
import { type Connection, postReceivePack } from '#client/index';

/** Name of a repository in requests. */
interface RepositoryName {
  readonly storageName: string;
  readonly relativePath: string;
  readonly glRepository: string;
}

const ZERO_OID = '0'.repeat(40);
/** Numbers of the object types in a pack. @see git: Documentation/gitformat-pack.adoc */
const PACK_TYPES = { commit: 1, tree: 2, blob: 3 } as const;
const SMALL_SIZE_BITS = 4;
const SIZE_BITS = 7;

interface GitObject {
  readonly type: keyof typeof PACK_TYPES;
  readonly content: Buffer;
  readonly oid: string;
}

/**
 * Creates a repository with one commit, a README, unless a repository with a branch exists, or one
 * that cannot be read. It works like any client: it creates the repository by RPC and pushes the
 * commit.
 *
 * @throws {CallError} when a call fails; {Error} when the push is refused.
 */
export async function makeSampleRepository(
  connection: Connection,
  repository: RepositoryName,
  readme: string,
): Promise<void> {
  try {
    await connection.repository.createRepository({ repository });
  } catch (error) {
    if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
    if (!(await isEmpty(connection, repository))) return;
  }
  const objects = commitOf(readme, new Date());
  const answer = await push(connection, repository, objects);
  if (!answer.includes('unpack ok')) throw new Error(`making ${repository.relativePath}: ${answer}`);
}

/** Reports whether a repository has no branch. A damaged or lost one must not prevent a start. */
async function isEmpty(connection: Connection, repository: RepositoryName): Promise<boolean> {
  try {
    return !(await connection.repository.hasLocalBranches({ repository })).value;
  } catch {
    return false;
  }
}

async function push(
  connection: Connection,
  repository: RepositoryName,
  objects: readonly GitObject[],
): Promise<string> {
  const commit = objects.at(-1)?.oid ?? '';
  const command = `${ZERO_OID} ${commit} refs/heads/main\0report-status object-format=sha1`;
  const stdout = new PassThrough();
  const answer = buffer(stdout);
  await postReceivePack(
    connection,
    { stdin: Readable.from([textPacket(command), FLUSH_PACKET, packOf(objects)]), stdout },
    { repository, glId: 'user-1', glUsername: 'gitaly-ts', glRepository: repository.glRepository },
  );
  stdout.end();
  return (await answer).toString();
}

/** Returns a root commit with one file; the commit is the last of its objects. */
function commitOf(readme: string, date: Date): readonly GitObject[] {
  const blob = gitObject('blob', Buffer.from(readme));
  const tree = gitObject(
    'tree',
    Buffer.concat([Buffer.from('100644 README.md\0'), Buffer.from(blob.oid, 'hex')]),
  );
  const person = `gitaly-ts <gitaly-ts@localhost> ${Math.floor(date.getTime() / 1000)} +0000`;
  const text = `tree ${tree.oid}\nauthor ${person}\ncommitter ${person}\n\nSay hello\n`;
  return [blob, tree, gitObject('commit', Buffer.from(text))];
}

function gitObject(type: GitObject['type'], content: Buffer): GitObject {
  const oid = createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
  return { type, content, oid };
}

function packOf(objects: readonly GitObject[]): Buffer {
  const header = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  header.writeUInt32BE(objects.length, 8);
  const entries = objects.flatMap(({ type, content }) => [
    entryHeader(PACK_TYPES[type], content.length),
    deflateSync(content),
  ]);
  const body = Buffer.concat([header, ...entries]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/**
 * Encodes type and size: four bits of the size in the first byte together with the type, then seven
 * per byte, lowest first.
 */
function entryHeader(type: number, size: number): Buffer {
  const bytes = [(type << SMALL_SIZE_BITS) | (size & 0x0f)];
  for (let rest = size >>> SMALL_SIZE_BITS; rest > 0; rest >>>= SIZE_BITS) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(rest & 0x7f);
  }
  return Buffer.from(bytes);
}
