import { isNode, type Node } from './syntax-node.ts';

/** The names that an expression may use. */
export interface Scope {
  /** Returns the node that a name is initialised with, and the scope of that node. */
  lookUp(name: string): { readonly node: unknown; readonly scope: Scope };
}

/** Names may be defined by names, but not endlessly. */
const MAX_DEPTH = 20;

/**
 * Returns the text that an expression of the source always has: literals, templates, `String.raw`,
 * sums, joined arrays and constants made of these. `undefined` for any other.
 */
export function constantValue(node: unknown, scope: Scope, depth = 0): string | undefined {
  if (!isNode(node) || depth > MAX_DEPTH) return undefined;
  const constantText = (each: unknown): string | undefined => constantValue(each, scope, depth + 1);
  switch (node.type) {
    case 'Literal':
      return typeof node.value === 'string' || typeof node.value === 'number'
        ? String(node.value)
        : undefined;
    case 'TemplateLiteral':
      return templateValue(node, 'cooked', constantText);
    case 'TaggedTemplateExpression':
      return isNode(node.quasi) && isStringRaw(node.tag)
        ? templateValue(node.quasi, 'raw', constantText)
        : undefined;
    case 'BinaryExpression':
      return node.operator === '+' ? joined([node.left, node.right].map(constantText), '') : undefined;
    case 'Identifier': {
      const found = scope.lookUp(String(node.name));
      return constantValue(found.node, found.scope, depth + 1);
    }
    case 'CallExpression':
      return joinValue(node, scope, depth + 1);
    case 'TSAsExpression':
      return constantText(node.expression);
    default:
      return undefined;
  }
}

function templateValue(
  { quasis, expressions }: Node,
  form: 'cooked' | 'raw',
  constantText: (node: unknown) => string | undefined,
): string | undefined {
  if (!Array.isArray(quasis) || !Array.isArray(expressions)) return undefined;
  const texts = quasis.map((each) => String(each.value[form]));
  const values = expressions.map(constantText);
  return joined([...texts.flatMap((text, index) => (index === 0 ? [text] : [values[index - 1], text]))], '');
}

/** Returns the value of `[…].join('|')`. */
function joinValue({ callee, arguments: given }: Node, scope: Scope, depth: number): string | undefined {
  if (!isNode(callee) || !isNode(callee.property) || callee.property.name !== 'join') return undefined;
  const separator = Array.isArray(given) ? constantValue(given[0], scope, depth) : undefined;
  const items = itemsOf(callee.object, scope, depth);
  return separator === undefined || items === undefined ? undefined : joined(items, separator);
}

function itemsOf(node: unknown, scope: Scope, depth: number): (string | undefined)[] | undefined {
  if (!isNode(node) || depth > MAX_DEPTH) return undefined;
  if (node.type === 'Identifier') {
    const found = scope.lookUp(String(node.name));
    return itemsOf(found.node, found.scope, depth + 1);
  }
  if (node.type === 'TSAsExpression') return itemsOf(node.expression, scope, depth + 1);
  if (node.type !== 'ArrayExpression' || !Array.isArray(node.elements)) return undefined;
  return node.elements.flatMap((each: unknown) =>
    isNode(each) && each.type === 'SpreadElement'
      ? (itemsOf(each.argument, scope, depth + 1) ?? [undefined])
      : [constantValue(each, scope, depth + 1)],
  );
}

function joined(texts: readonly (string | undefined)[], separator: string): string | undefined {
  return texts.includes(undefined) ? undefined : texts.join(separator);
}

function isStringRaw(tag: unknown): boolean {
  return isNode(tag) && isNode(tag.property) && tag.property.name === 'raw';
}
