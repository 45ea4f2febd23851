import { FallBackToGit, fallBackOnFailure } from '../command/in-process.ts';
import type { CommitNode } from '../history/graph/commit-node.ts';
import type { CommitNodes } from '../history/graph/commit-nodes.ts';
import { canonicalMode, kindOf } from '../names/entry-kind.ts';
import { OID_BYTES, type OidBytes } from '../names/object-id.ts';
import { parseTreeInTurns, type TreeEntry } from '../objects/parse/parse-tree.ts';
import type { GitRepository } from '../repository.ts';

/** Limit of trees that are read; git reads more of them faster. */
const MAX_TREES = 1_000;
/** Limit of nested directories; git has one as well. */
const MAX_DEPTH = 100;

/** White space, which git leaves out of the names in a patch id. */
const SPACE = /[ \t\n\v\f\r]/g;
/** Start of a file's names in the text that git hashes. A name that contains it is ambiguous. */
const SEPARATOR = 'diff--git';

/** The same directory before and after a commit; `undefined` where it does not exist. */
interface Directory {
  readonly path: string;
  readonly depth: number;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** Names the changes of commits by file names, which is how git starts to compare patches. */
export class PatchNames {
  readonly #repository: GitRepository;
  readonly #nodes: CommitNodes;
  readonly #signal: AbortSignal;
  readonly #oidBytes: OidBytes;
  #trees = 0;

  constructor(repository: GitRepository, nodes: CommitNodes, signal: AbortSignal) {
    this.#repository = repository;
    this.#nodes = nodes;
    this.#signal = signal;
    this.#oidBytes = OID_BYTES[repository.objectFormat];
  }

  /**
   * Returns a text that is the same for two commits with the same patch id; it may be the same for
   * others. The commits have one parent at most.
   *
   * @throws {FallBackToGit} when a tree cannot be read, or very many have to be.
   */
  async of({ treeOid, parents: [parent] }: CommitNode): Promise<string> {
    const changes: string[] = [];
    const before = parent === undefined ? undefined : await this.#treeOf(parent);
    const pending: Directory[] = [{ path: '', depth: 0, before, after: treeOid }];
    for (let directory = pending.pop(); directory !== undefined; directory = pending.pop())
      if (directory.before !== directory.after) await this.#compare(directory, pending, changes);
    return changes.sort().join('\0');
  }

  async #treeOf(oid: string): Promise<string> {
    const node = this.#nodes.known(oid) ?? (await this.#nodes.read(oid));
    if (node === undefined) throw new FallBackToGit('a commit cannot be read');
    return node.treeOid;
  }

  async #compare(directory: Directory, pending: Directory[], changes: string[]): Promise<void> {
    const { path, depth, before, after } = directory;
    if (depth > MAX_DEPTH) throw new FallBackToGit('directories are nested deep');
    const [old, now] = [await this.#entries(before), await this.#entries(after)];
    for (const key of new Set([...old.keys(), ...now.keys()])) {
      const [was, is] = [old.get(key), now.get(key)];
      if (was?.oid === is?.oid && was?.mode === is?.mode) continue;
      if (isSubmodule(was) || isSubmodule(is)) throw new FallBackToGit('a submodule changes');
      if (key.endsWith('/'))
        pending.push({ path: path + key, depth: depth + 1, before: was?.oid, after: is?.oid });
      else changes.push(nameOf(path + key, was?.mode, is?.mode));
    }
  }

  /** Returns the entries by name; the names of directories end with a slash. */
  async #entries(oid: string | undefined): Promise<ReadonlyMap<string, TreeEntry>> {
    if (oid === undefined) return new Map();
    if (++this.#trees > MAX_TREES) throw new FallBackToGit('very many trees have to be read');
    const { objects } = this.#repository;
    const tree = await objects.readObject(oid, { signal: this.#signal }).catch(fallBackOnFailure);
    if (tree?.type !== 'tree') throw new FallBackToGit('a tree cannot be read');
    const entries = await parseTreeInTurns(tree.data, this.#oidBytes, this.#signal).catch(fallBackOnFailure);
    const byName = new Map(entries.map((entry) => [entryKey(entry), entry]));
    if (byName.size < entries.length) throw new FallBackToGit('a tree has two entries of one name');
    return byName;
  }
}

function entryKey({ name, mode }: TreeEntry): string {
  if (canonicalMode(mode) !== mode) throw new FallBackToGit('a tree is not one that git writes');
  const text = name.toString('latin1');
  if (text.includes('/')) throw new FallBackToGit('a tree is not one that git writes');
  return kindOf(mode) === 'tree' ? `${text}/` : text;
}

/** Settings may hide changes of submodules. */
function isSubmodule(entry: TreeEntry | undefined): boolean {
  return entry !== undefined && kindOf(entry.mode) === 'submodule';
}

function nameOf(path: string, before: number | undefined, after: number | undefined): string {
  const name = path.replace(SPACE, '');
  if (name.includes(SEPARATOR)) throw new FallBackToGit('a name is like a part of a patch');
  if (before === undefined) return `new ${after?.toString(8)} ${name}`;
  return after === undefined ? `deleted ${before.toString(8)} ${name}` : `changed ${name}`;
}
