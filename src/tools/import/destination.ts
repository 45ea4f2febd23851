import { codeOf } from '#base/gitaly-error';
import type { Connection } from '#client/index';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { SourceRepository } from './source-repository.ts';

/** A repository of the server, as named in requests. */
export interface ImportDestination {
  readonly repository: {
    readonly storageName: string;
    readonly relativePath: string;
    readonly glRepository: string;
  };
}

/**
 * State of the destination: a new repository, one without references (perhaps from an earlier
 * import), or one with references.
 */
export type FoundDestination = 'created' | 'empty' | 'same' | 'different';

const FORMATS = { sha1: ObjectFormat.SHA1, sha256: ObjectFormat.SHA256 } as const;
const BRANCHES = 'refs/heads/';

/** Creates the repository, or compares an existing one with the source. */
export async function prepareDestination(
  connection: Connection,
  { repository }: ImportDestination,
  source: SourceRepository,
  signal: AbortSignal,
): Promise<FoundDestination> {
  const defaultBranch = source.head?.startsWith(BRANCHES)
    ? latin1(source.head.slice(BRANCHES.length))
    : Buffer.alloc(0);
  try {
    const objectFormat = FORMATS[source.objectFormat];
    await connection.repository.createRepository({ repository, objectFormat, defaultBranch }, { signal });
    return 'created';
  } catch (error) {
    if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
  }
  const there: string[] = [];
  for await (const { references } of connection.ref.listRefs(
    { repository, patterns: [latin1('refs/')] },
    { signal },
  )) {
    for (const { name, target } of references)
      there.push(`${target} ${Buffer.from(name).toString('latin1')}`);
  }
  there.sort();
  if (there.join('\n') === source.references.join('\n')) return 'same';
  return there.length === 0 ? 'empty' : 'different';
}

/** Sets HEAD to the source's, if creating the repository could not. */
export async function setHead(
  connection: Connection,
  { repository }: ImportDestination,
  source: SourceRepository,
  signal: AbortSignal,
): Promise<void> {
  if (source.head === undefined) return;
  await connection.repository.writeRef(
    { repository, ref: latin1('HEAD'), revision: latin1(source.head) },
    { signal },
  );
}

/** Reports whether {@link setHead} must set HEAD after {@link prepareDestination}. */
export function needsHead(found: FoundDestination, { head }: SourceRepository): boolean {
  return found === 'empty' || (found === 'created' && head !== undefined && !head.startsWith(BRANCHES));
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
