import { gitOutput, initRepository } from '#testkit/repositories/init-repository';

/** Files of a commit by path. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** A branch with one commit. */
export interface Branch {
  readonly name: string;
  /** The branch with its parent. */
  readonly from?: string;
  readonly files: Files;
}

/** Creates a repository with branches, and returns the id of each one's commit. */
export function createRepository(path: string, branches: readonly Branch[]): Record<string, string> {
  initRepository(path);
  return Object.fromEntries(branches.map((branch) => [branch.name, addBranch(path, branch)]));
}

/** Adds a branch with a commit, and returns the commit's id. */
export function addBranch(path: string, { name, from, files }: Branch): string {
  const parts: (string | Uint8Array)[] = [
    `commit refs/heads/${name}\ncommitter A <a@x> 1600000000 +0000\ndata 1\nx\n`,
  ];
  if (from !== undefined) parts.push(`from refs/heads/${from}\n`);
  for (const [file, content] of Object.entries(files))
    parts.push(`M 100644 inline ${file}\ndata ${Buffer.byteLength(content)}\n`, content, '\n');
  gitOutput(path, ['fast-import', '--quiet'], Buffer.concat(parts.map((part) => Buffer.from(part))));
  return gitOutput(path, ['rev-parse', `refs/heads/${name}`]);
}

/** Adds a branch `main` whose directory has this many files, of the same contents. */
export function addHugeTree(path: string, entries: number, mode: string): void {
  const blob = Buffer.from(gitOutput(path, ['hash-object', '-w', '--stdin'], Buffer.from('x')), 'hex');
  const names = Array.from({ length: entries }, (_, index) => `file-${index}`).sort();
  const tree = Buffer.concat(names.flatMap((name) => [Buffer.from(`${mode} ${name}\0`), blob]));
  const oid = gitOutput(path, ['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'], tree);
  const commit = gitOutput(path, ['commit-tree', oid, '-m', 'huge']);
  gitOutput(path, ['update-ref', 'refs/heads/main', commit]);
}
