import { diffs, type WholeDiff } from '#client/content/collect/diffs';
import { codeFrame } from '#console/html/elements';
import { formatCount } from '#console/html/format';
import { type Html, html } from '#console/html/html';
import type { RepositoryVisit } from '../repository-visit.ts';

/** Bounds of the change on a page; git shows the rest. */
const LIMITS = {
  enforceLimits: true,
  maxFiles: 200,
  maxLines: 5000,
  maxBytes: 400_000,
  maxPatchBytes: 100_000,
} as const;

/** The files that differ between two commits. */
export interface ShownChanges {
  readonly files: readonly FileChange[];
  /** True if the change is larger than a page shows. */
  readonly isCut: boolean;
}

interface FileChange {
  readonly from: string;
  readonly to: string;
  readonly isBinary: boolean;
  readonly linesAdded: number;
  readonly linesRemoved: number;
  /** The hunks; empty for a binary file. */
  readonly patch: string;
}

/** Reads the change between two commits or trees, within the limits of a page. */
export async function changesBetween(
  { calls, connection, repository }: RepositoryVisit,
  leftCommitId: string,
  rightCommitId: string,
): Promise<ShownChanges> {
  const request = { repository: repository.message, leftCommitId, rightCommitId, ...LIMITS };
  const found = await Array.fromAsync(diffs(connection.diff.commitDiff(request, calls)));
  return {
    files: found.filter(({ overflowMarker }) => !overflowMarker).map(fileChange),
    isCut: found.some(({ overflowMarker }) => overflowMarker),
  };
}

export function fileDiffs({ files, isCut }: ShownChanges): Html {
  return html`<h2>${formatCount(files.length, 'changed file')}</h2>
${files.map(fileDiff)}
${isCut ? html`<p>The change is larger than a page shows. Use git to see all of it.</p>` : undefined}`;
}

function fileChange({ binary, fromPath, linesAdded, linesRemoved, patch, toPath }: WholeDiff): FileChange {
  const [from, to] = [Buffer.from(fromPath).toString(), Buffer.from(toPath).toString()];
  return { from, to, isBinary: binary, linesAdded, linesRemoved, patch: patch.toString() };
}

function fileDiff({ from, isBinary, linesAdded, linesRemoved, patch, to }: FileChange): Html {
  const name = from === to ? html`${to}` : html`${from} → ${to}`;
  const note = isBinary ? 'A binary file.' : 'No lines to show.';
  return html`<details class="diff" open>
<summary>${name} <span class="note">+${linesAdded} −${linesRemoved}</span></summary>
${isBinary || patch === '' ? html`<p>${note}</p>` : patchOf(patch, to)}
</details>
`;
}

const CLASSES: Readonly<Record<string, string>> = { '+': 'added', '-': 'removed', '@': 'hunk' };

function patchOf(patch: string, name: string): Html {
  const lines = patch.replace(/\n$/, '').split('\n');
  const shown = lines.map((line) => {
    const kind = CLASSES[line.slice(0, 1)];
    return kind === undefined ? html`${line}\n` : html`<span class="${kind}">${line}</span>\n`;
  });
  return codeFrame(`Change of ${name}`, shown);
}
