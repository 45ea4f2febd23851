import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Findings, SourceTree } from './source-tree.ts';

/** A tree that is removed with this object. */
class TemporaryTree extends SourceTree implements Disposable {
  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true });
  }
}

/** Makes a tree of files, for the test of a check. */
export function temporaryTree(files: Readonly<Record<string, string>>): TemporaryTree {
  const root = mkdtempSync(join(tmpdir(), 'gitaly-tree-'));
  mkdirSync(join(root, 'src'));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return new TemporaryTree(root);
}

/** Returns the exit code of a check, and the lines that it prints. */
export function outcomeOf({ complaints, summary }: Findings): {
  readonly status: number;
  readonly lines: readonly string[];
} {
  return complaints.length > 0 ? { status: 1, lines: complaints } : { status: 0, lines: [summary] };
}
