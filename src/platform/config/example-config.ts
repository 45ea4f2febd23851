import type { Fields, Key, Node } from './keys.ts';

const WIDTH = 120;

/**
 * Returns the text of an example file: every key with an effect, commented out unless it is one to
 * start with.
 *
 * @param header comment at the top.
 */
export function exampleConfig(schema: Fields, header: string): string {
  const blocks = [header, ...topLevelKeys(schema)];
  for (const [name, node] of Object.entries<Node>(schema)) {
    if ((node.kind === 'table' || node.kind === 'tables') && node.noEffect === undefined)
      blocks.push(...table([name], node));
  }
  const ignored = withoutEffect(schema);
  if (ignored.length > 0) blocks.push(ignored.join('\n'));
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

function withoutEffect(schema: Fields): string[] {
  const names = (fields: Fields, prefix: string): string[] =>
    Object.entries(fields).flatMap(([name, node]) => {
      if (node.noEffect !== undefined) return [`${prefix}${name}: ${node.noEffect}`];
      return node.kind === 'table' || node.kind === 'tables' ? names(node.fields, `${prefix}${name}.`) : [];
    });
  const lines = names(schema, '').map((line) => `#   ${line}`);
  return lines.length === 0
    ? []
    : ['# These keys of Gitaly are read and checked, but have no effect:', ...lines];
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
