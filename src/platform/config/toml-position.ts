/**
 * Position of a value in a TOML document. Both numbers count from 1; columns count bytes as in
 * Gitaly's decoder.
 */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Path of key names and of indexes in arrays of tables. */
export type KeyPath = readonly (string | number)[];

const HEADER = /^\s*(\[\[?)([^\]]+)\]/;
const KEY_VALUE = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=\s*/;

/**
 * Finds the value of `path` in a valid document, for error messages. It examines table headers and
 * keys at the beginning of a line. It does not find keys inside inline tables, and multi-line
 * strings that contain such lines confuse it.
 */
export function positionOf(document: string, path: KeyPath): Position | undefined {
  const wanted = join(path);
  // Paths of another length are not compared: a key may have thousands of parts.
  const isWanted = (found: KeyPath): boolean => found.length === path.length && join(found) === wanted;
  const arrays = new Map<string, number>();
  let table: KeyPath = [];
  for (const [index, line] of document.split('\n').entries()) {
    const header = HEADER.exec(line);
    if (header) {
      const names = split(header[2] ?? '');
      table = names.length > path.length ? names : resolve(names, header[1] === '[[', arrays);
      if (isWanted(table)) return { line: index + 1, column: line.indexOf('[') + 1 };
      continue;
    }
    const keyValue = KEY_VALUE.exec(line);
    if (keyValue && table.length < path.length && isWanted([...table, ...split(keyValue[1] ?? '')])) {
      return { line: index + 1, column: Buffer.byteLength(keyValue[0]) + 1 };
    }
  }
  return undefined;
}

/** Adds the current index to arrays of tables in the path; `[[x]]` starts the next one. */
function resolve(names: readonly string[], isArray: boolean, arrays: Map<string, number>): KeyPath {
  const path: (string | number)[] = [];
  for (const [index, name] of names.entries()) {
    path.push(name);
    const key = join(path);
    if (isArray && index === names.length - 1) arrays.set(key, (arrays.get(key) ?? -1) + 1);
    const current = arrays.get(key);
    if (current !== undefined) path.push(current);
  }
  return path;
}

function split(dotted: string): string[] {
  return (dotted.match(/"[^"]*"|'[^']*'|[^\s.]+/g) ?? []).map((name) => name.replace(/^["']|["']$/g, ''));
}

function join(path: KeyPath): string {
  return JSON.stringify(path).toLowerCase();
}

/** Formats a path as in messages: `git.config[0].key`. */
export function showPath(path: KeyPath): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}
