import type { Fields, Key, Node } from './keys.ts';
import { schema } from './schema.ts';

const HEADER = `# Configuration of gitaly. Generated from src/platform/config/schema.ts:
# change it there, then run "make gen".
#
# A server behind GitLab needs the settings that are not commented out. To run without GitLab,
# remove bin_dir and [gitlab]. Check a file with: gitaly configuration validate < config.toml
`;

const WIDTH = 120;

/**
 * Returns the text of `config.toml.example`: every key with an effect, commented out unless a
 * server behind GitLab needs it.
 */
export function exampleConfig(): string {
  const blocks = [HEADER, ...topLevelKeys(schema)];
  for (const [name, node] of Object.entries<Node>(schema)) {
    if ((node.kind === 'table' || node.kind === 'tables') && node.noEffect === undefined)
      blocks.push(...table([name], node));
  }
  blocks.push(withoutEffect());
  return `${blocks.join('\n')}\n`;
}

function topLevelKeys(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([name, node]) =>
    isShownKey(node) ? [`${keyLines(name, node)}\n`] : [],
  );
}

function table(path: readonly string[], node: Extract<Node, { fields: Fields }>): string[] {
  const keys = Object.entries(node.fields).filter((entry): entry is [string, Key] => isShownKey(entry[1]));
  const active = keys.some(([, key]) => key.shown);
  const header = node.kind === 'tables' ? `[[${path.join('.')}]]` : `[${path.join('.')}]`;
  const lines = [
    ...comment(node.doc),
    active ? header : `#${header}`,
    ...keys.map(([name, key]) => keyLines(name, key)),
  ];
  const inner = Object.entries(node.fields).flatMap(([name, child]) =>
    (child.kind === 'table' || child.kind === 'tables') && child.noEffect === undefined
      ? table([...path, name], child)
      : [],
  );
  return [`${lines.join('\n')}\n`, ...inner];
}

function isShownKey(node: Node): node is Key {
  return node.kind !== 'table' && node.kind !== 'tables' && node.noEffect === undefined;
}

function keyLines(name: string, key: Key): string {
  return [...comment(key.doc), `${key.shown ? '' : '#'}${name} = ${key.example ?? literal(key)}`].join('\n');
}

/** Returns the default of a key without an example, as TOML. */
function literal(key: Key): string {
  if (key.kind === 'duration') return `"${Number(key.default) / 1000}s"`;
  if (key.kind === 'texts' || key.kind === 'floats') return '[]';
  return typeof key.default === 'string' || key.default === undefined
    ? JSON.stringify(key.default ?? '')
    : String(key.default);
}

function withoutEffect(): string {
  const names = (fields: Fields, prefix: string): string[] =>
    Object.entries(fields).flatMap(([name, node]) => {
      if (node.noEffect !== undefined) return [`${prefix}${name}: ${node.noEffect}`];
      return node.kind === 'table' || node.kind === 'tables' ? names(node.fields, `${prefix}${name}.`) : [];
    });
  return [
    '# These keys of Gitaly are read and checked, but have no effect:',
    ...names(schema, '').map((line) => `#   ${line}`),
  ].join('\n');
}

function comment(doc: string): string[] {
  const lines: string[] = [];
  let line = '#';
  for (const word of doc.split(' ')) {
    if (line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = '#';
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
