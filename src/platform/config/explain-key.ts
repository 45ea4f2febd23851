import { Secret } from '#base/secret';
import { nodeAt } from './go-names.ts';
import { accepted, type Fields } from './keys.ts';
import { type KeyPath, positionOf, showPath } from './toml-position.ts';

/** Where a value was read. */
export interface ConfigSource {
  readonly path: string;
  readonly document: string;
  /** The keys of the file. */
  readonly fields: Fields;
}

/** Returns lines with the file, the key, its value, and the accepted values. */
export function explainKey(
  { document, fields, path }: ConfigSource,
  problem: { readonly path: KeyPath; readonly read: unknown },
): string {
  const node = nodeAt(problem.path, fields);
  const position = positionOf(document, problem.path);
  const key = showPath(problem.path);
  const lines = [
    ['file', position === undefined ? path : `${path}, line ${position.line}`],
    ['key', key],
    ['read', node?.kind === 'secret' ? '[secret]' : showValue(problem.read)],
    ['accepted', node === undefined ? 'see config.toml.example' : accepted(node, key)],
  ] as const;
  return lines.map(([name, value]) => `  ${name.padEnd(9)} ${value}`).join('\n');
}

/** Returns lines with the place of a mistake in the syntax of TOML. */
export function explainSyntax(path: string, line: number): string {
  const grammar = 'TOML: key = "text", key = 1 or key = true; [table]; [[list of tables]]';
  return `  file      ${path}, line ${line}\n  accepted  ${grammar}`;
}

/** Returns the value of a key in a document. Names are case-insensitive. */
export function rawValue(raw: unknown, path: KeyPath): unknown {
  let value = raw;
  for (const part of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    const wanted = String(part).toLowerCase();
    value = Object.entries(value).find(([name]) => name.toLowerCase() === wanted)?.[1];
  }
  return value;
}

function showValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value instanceof Secret) return '[secret]';
  return JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? Number(inner) : inner));
}
