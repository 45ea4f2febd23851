import type { CommitNode } from './commit-node.ts';

/** Sorts commits so that each comes before its parents. */
export function childrenFirst(commits: readonly CommitNode[]): CommitNode[] {
  const children = new Map<string, number>(commits.map(({ oid }) => [oid, 0]));
  for (const { parents } of commits)
    for (const parent of parents) {
      const count = children.get(parent);
      if (count !== undefined) children.set(parent, count + 1);
    }
  const byId = new Map(commits.map((commit) => [commit.oid, commit]));
  const sorted = commits.filter(({ oid }) => children.get(oid) === 0);
  // It grows during the loop.
  for (const { parents } of sorted)
    for (const oid of parents) {
      const left = (children.get(oid) ?? 0) - 1;
      const parent = byId.get(oid);
      if (parent === undefined) continue;
      children.set(oid, left);
      if (left === 0) sorted.push(parent);
    }
  return sorted;
}
