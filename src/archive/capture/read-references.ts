import { gitCommand, value } from '#git/command/git-command';
import { outputLines } from '#git/command/output';
import { HEAD } from '#git/names/ref-name';
import type { Repository } from '#storage/repository';

/** Name of the reference that a repository begins with; HEAD is archived like the others. */
export const HEAD_NAME = HEAD.toString();
export const SYMBOLIC = 'ref: ';

/** Names and symbolic values are bytes, one per character. */
export type References = ReadonlyMap<string, string>;

/** References that are read one by one: to start git takes as long. */
const MAX_READ = 200;
const MAX_LINE_BYTES = 64 * 1024;
/** An object id, the target of a symbolic reference or nothing, and the name. */
const FORMAT = '%(objectname) %(symref) %(refname)';

/**
 * Reads all references, not followed, and HEAD. Those that lead nowhere are left out, as git leaves
 * them out.
 *
 * @throws {GitExitError} of a damaged repository.
 */
export async function readReferences(
  repository: Repository,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const references = new Map<string, string>();
  const names = await fewNames(repository, signal);
  for (const name of [HEAD_NAME, ...(names ?? [])]) {
    const value = await readReference(repository, name, signal);
    if (value !== undefined) references.set(name, value);
  }
  if (names !== undefined) return references;
  const command = gitCommand('for-each-ref', { options: [value('--format', FORMAT)] });
  for await (const lines of outputLines(repository, command, { signal, maxLineBytes: MAX_LINE_BYTES }))
    for (const line of lines) {
      const [oid = '', target = '', name = ''] = line.toString('latin1').split(' ');
      references.set(name, target === '' ? oid : `${SYMBOLIC}${target}`);
    }
  return references;
}

/** Returns the names of all references; `undefined` if git reads them faster. */
async function fewNames(repository: Repository, signal: AbortSignal): Promise<string[] | undefined> {
  const { format, inProcess, refs } = repository;
  if (!inProcess.isEnabled || !format.isPlain) return undefined; // each would take a process
  const names: string[] = [];
  const query = { patterns: ['refs/'], limit: MAX_READ + 1 };
  for await (const listed of refs.list(query, { signal }))
    names.push(...listed.map(({ name }) => name.toString('latin1')));
  return names.length > MAX_READ ? undefined : names;
}

/** Reads one reference, not followed; `undefined` if it does not exist. */
export async function readReference(
  { refs }: Repository,
  name: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const raw =
    name === HEAD_NAME
      ? await refs.head({ signal })
      : await refs.read(Buffer.from(name, 'latin1'), { signal });
  if (raw === undefined) return undefined;
  return raw.oid ?? `${SYMBOLIC}${raw.symbolicTarget?.toString('latin1')}`;
}

/** Returns the differences between references that are archived and those that are wanted. */
export function changedReferences(archived: References, wanted: References): Map<string, string | undefined> {
  const changed = new Map<string, string | undefined>();
  for (const name of archived.keys()) if (!wanted.has(name)) changed.set(name, undefined);
  for (const [name, value] of wanted) if (archived.get(name) !== value) changed.set(name, value);
  return changed;
}
