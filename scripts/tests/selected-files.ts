import { normalize } from 'node:path';

/** The option that selects the tests of a folder below `src`: `--module=git/diff`. */
const MODULE = '--module=';

/** The files of a class that a run executes, or why there are none. */
export type Selection = { readonly files: ReadonlySet<string> } | { readonly problem: string };

/** Reports whether an argument names what is tested, and is no option of node. */
export function isSelection(arg: string): boolean {
  return !arg.startsWith('--') || arg.startsWith(MODULE);
}

/**
 * Selects files of a class by their paths, by directories and by modules; all files if none is
 * named.
 */
export function selectFiles(files: readonly string[], selections: readonly string[]): Selection {
  const unknown: string[] = [];
  const selected = new Set(selections.length === 0 ? files : []);
  for (const selection of selections) {
    const found = files.filter((file) => selects(selection, file));
    if (found.length === 0) unknown.push(problemOf(selection, files));
    for (const file of found) selected.add(file);
  }
  return unknown.length > 0 ? { problem: unknown.join('\n') } : { files: selected };
}

function selects(selection: string, file: string): boolean {
  if (selection.startsWith(MODULE)) return file.startsWith(`${folderOf(selection)}/`);
  const path = normalize(selection).replace(/\/$/, '');
  return file === path || file.startsWith(`${path}/`);
}

function folderOf(selection: string): string {
  return `src/${selection.slice(MODULE.length).replace(/\/$/, '')}`;
}

function problemOf(selection: string, files: readonly string[]): string {
  if (!selection.startsWith(MODULE)) return `the class has no file ${selection}`;
  const modules = new Set(files.map((file) => /^src\/([^/]+)\//.exec(file)?.[1]));
  const names = [...modules].filter((name) => name !== undefined).join(', ');
  const folder = folderOf(selection);
  return `there is no test in ${folder}; name a folder in src: one of ${names}, or one of theirs`;
}
