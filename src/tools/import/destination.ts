import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { SourceRepository } from './source-repository.ts';

/** A repository of the server as requests name it. */
export interface Destination {
  readonly repository: { readonly storageName: string; readonly relativePath: string; readonly glRepository: string };
}

/** What was found at the destination: a new repository, one without references (of an earlier import, perhaps), or one with. */
export type Found = 'created' | 'empty' | 'same' | 'different';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;
const BRANCHES = 'refs/heads/';

/** Makes the repository, or compares the one that is there with the source. */
export async function prepareDestination(
  connection: Connection,
  { repository }: Destination,
  source: SourceRepository,
  signal: AbortSignal,
): Promise<Found> {
  const defaultBranch = source.head?.startsWith(BRANCHES) ? latin1(source.head.slice(BRANCHES.length)) : Buffer.alloc(0);
  try {
    const objectFormat = FORMATS[source.objectFormat];
    await connection.repository.createRepository({ repository, objectFormat, defaultBranch }, { signal });
    return 'created';
  } catch (error) {
    if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
  }
  const there: string[] = [];
  for await (const { references } of connection.ref.listRefs({ repository, patterns: [latin1('refs/')] }, { signal })) {
    for (const { name, target } of references) there.push(`${target} ${Buffer.from(name).toString('latin1')}`);
  }
  there.sort();
  if (there.join('\n') === source.references.join('\n')) return 'same';
  return there.length === 0 ? 'empty' : 'different';
}

/** Makes HEAD name what the source's names, where creating the repository could not say it. */
export async function setHead(
  connection: Connection,
  { repository }: Destination,
  source: SourceRepository,
  signal: AbortSignal,
): Promise<void> {
  if (source.head === undefined) return;
  await connection.repository.writeRef({ repository, ref: latin1('HEAD'), revision: latin1(source.head) }, { signal });
}

/** Whether {@link prepareDestination} leaves HEAD to {@link setHead}. */
export function needsHead(found: Found, { head }: SourceRepository): boolean {
  return found === 'empty' || (found === 'created' && head !== undefined && !head.startsWith(BRANCHES));
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
