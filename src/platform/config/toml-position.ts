/** Where a value is in a TOML document; both count from 1, columns in bytes as Gitaly's decoder does. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Name of a key or index in an array of tables. */
export type KeyPath = readonly (string | number)[];

const HEADER = /^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?/;
const KEY_VALUE = /^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=\s*/;

/**
 * Finds the value of `path` in a document that is known to parse, for error messages. Looks at table headers and at keys that
 * begin a line; a key inside an inline table is not found, nor one of a document that writes such lines into a multi-line string.
 */
export function positionOf(document: string, path: KeyPath): Position | undefined {
  const wanted = join(path);
  const arrays = new Map<string, number>();
  let table: KeyPath = [];
  for (const [index, line] of document.split('\n').entries()) {
    const header = HEADER.exec(line);
    if (header) {
      table = resolve(split(header[2] ?? ''), header[1] === '[[', arrays);
      if (join(table) === wanted) return { line: index + 1, column: line.indexOf('[') + 1 };
      continue;
    }
    const keyValue = KEY_VALUE.exec(line);
    if (keyValue && join([...table, ...split(keyValue[1] ?? '')]) === wanted) {
      return { line: index + 1, column: Buffer.byteLength(keyValue[0]) + 1 };
    }
  }
  return undefined;
}

/** Gives the tables of arrays on the way their current index; `[[x]]` starts the next one. */
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

/** A path as it is written in messages: `git.config[0].key`. */
export function showPath(path: KeyPath): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('');
}
