/** Lists the mutants of a source file: small changes, each of which a test should detect. */
import { type Node, type Program, parseSync, visitorKeys } from 'oxc-parser';

export interface Mutant {
  /** Same while the line of source and its operators stay the same, wherever the line is. */
  readonly id: string;
  readonly file: string;
  readonly operator: string;
  /** The changed part of the source, in UTF-16 code units. */
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  /** Place that a test must execute to notice the change. */
  readonly executed: number;
  /** Line number, from 1. */
  readonly line: number;
  /** Text of the line without its indentation. */
  readonly text: string;
}

interface Change {
  readonly operator: string;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  readonly executed: number;
}

/** Larger numbers are sizes and times, which tests have no reason to know exactly. */
const MAX_NUMBER = 16;

const OPPOSITES: Readonly<Record<string, string>> = {
  '<': '<=',
  '<=': '<',
  '>': '>=',
  '>=': '>',
  '===': '!==',
  '!==': '===',
  '+': '-',
  '-': '+',
  '*': '/',
  '/': '*',
  '%': '*',
  '&': '|',
  '|': '&',
  '<<': '>>',
  '>>': '<<',
  '&&': '||',
  '||': '&&',
  '++': '--',
  '--': '++',
};
const METHODS: Readonly<Record<string, string>> = {
  some: 'every',
  every: 'some',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  min: 'max',
  max: 'min',
};
/** Statements whose removal shows: calls, assignments and similar. */
const EFFECTS = new Set([
  'CallExpression',
  'AwaitExpression',
  'AssignmentExpression',
  'UpdateExpression',
  'NewExpression',
  'UnaryExpression',
]);
/** Wrappers of TypeScript that contain an expression; all other `TS…` nodes are types. */
const EXPRESSIONS = new Set(['TSAsExpression', 'TSSatisfiesExpression', 'TSNonNullExpression']);

/** Returns the mutants of a file in the order of the source. A few cannot be parsed. */
export function mutantsOf(file: string, source: string): readonly Mutant[] {
  const changes: Change[] = [];
  visit(parse(file, source), { source, isCaught: false, isReturned: false }, changes);
  const seen = new Map<string, number>();
  return changes
    .sort((a, b) => a.start - b.start || a.end - b.end)
    .map((change) => {
      const lineStart = source.lastIndexOf('\n', change.start - 1) + 1;
      const lineEnd = source.indexOf('\n', change.start);
      const text = source.slice(lineStart, lineEnd === -1 ? undefined : lineEnd).trim();
      const key = `${file}: ${change.operator}: ${text}`;
      const nth = (seen.get(key) ?? 0) + 1;
      seen.set(key, nth);
      const line = source.slice(0, change.start).split('\n').length;
      return { ...change, file, line, text, id: nth === 1 ? key : `${key} #${nth}` };
    });
}

/** Returns the changed source. */
export function applyMutant({ start, end, replacement }: Change, source: string): string {
  return source.slice(0, start) + replacement + source.slice(end);
}

/** Reports whether the changed source is a program. This parses it as a whole. */
export function canBeParsed(mutant: Mutant, source: string): boolean {
  return parseSync(mutant.file, applyMutant(mutant, source)).errors.length === 0;
}

function parse(file: string, source: string): Program {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0]?.message}`);
  return program;
}

interface Place {
  readonly source: string;
  /** True if the function does something after a rejection, or at its end. */
  readonly isCaught: boolean;
  /** True for the operand of `return`, and the expression that is an arrow function's body. */
  readonly isReturned: boolean;
}

function visit(node: Node, place: Place, changes: Change[]): void {
  if (node.type.startsWith('TS') && !EXPRESSIONS.has(node.type)) return;
  if (node.type === 'ImportDeclaration' || isCheckedTable(node, place.source)) return;
  // The caller waits for a promise, too.
  const isSame = node.type === 'AwaitExpression' && place.isReturned && !place.isCaught;
  if (!isSame) changes.push(...changesOf(node, place.source));
  for (const key of visitorKeys[node.type] ?? []) {
    const child: unknown = Reflect.get(node, key);
    for (const each of Array.isArray(child) ? child : [child])
      if (isNode(each)) visit(each, { ...place, ...placeBelow(node, each, place) }, changes);
  }
}

function placeBelow(node: Node, child: Node, { source, isCaught }: Place): Omit<Place, 'source'> {
  const isResult = node.type === 'ArrowFunctionExpression' && child === node.body;
  const isReturned = node.type === 'ReturnStatement' || isResult;
  if (node.type === 'TryStatement')
    return { isReturned, isCaught: isCaught || child === node.block || node.finalizer !== null };
  if (!/Function/.test(node.type)) return { isReturned, isCaught };
  return { isReturned, isCaught: /\busing\b/.test(source.slice(node.start, node.end)) };
}

/** Reports whether a node is a table of option names: the compiler checks its values. */
function isCheckedTable(node: Node, source: string): boolean {
  return node.type === 'VariableDeclarator' && /: NamesOf</.test(source.slice(node.id.start, node.id.end));
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

function changesOf(node: Node, source: string): readonly Change[] {
  const sourceText = ({ start, end }: Node): string => source.slice(start, end);
  const replace = (operator: string, node: Node, replacement: string, executed = node): Change[] => [
    { operator, start: node.start, end: node.end, replacement, executed: executed.start },
  ];
  /**
   * Replaces the operator between two operands. Coverage counts `&&` and `||` with the operand to
   * the right, which need not be executed.
   */
  const swap = (left: Node, right: Node, from: string): Change[] => {
    const to = OPPOSITES[from];
    const start = source.indexOf(from, left.end);
    if (to === undefined || start === -1 || start >= right.start) return [];
    const end = start + from.length;
    return [{ operator: `${from} → ${to}`, start, end, replacement: to, executed: left.start }];
  };
  switch (node.type) {
    case 'IfStatement':
    case 'WhileStatement':
    case 'ConditionalExpression':
      return replace('negate the condition', node.test, `!(${sourceText(node.test)})`);
    case 'LogicalExpression':
      return node.operator === '??'
        ? // A test that never needs the default cannot notice that it is gone.
          replace('drop the default', node, `(${sourceText(node.left)})`, node.right)
        : swap(node.left, node.right, node.operator);
    case 'BinaryExpression':
      return isText(node.left) || isText(node.right) ? [] : swap(node.left, node.right, node.operator);
    case 'UnaryExpression':
      return node.operator === '!' ? replace('drop the !', node, sourceText(node.argument)) : [];
    case 'ExpressionStatement':
      return EFFECTS.has(node.expression.type) && !isSuperCall(node.expression)
        ? replace('remove the statement', node, ';')
        : [];
    case 'ThrowStatement':
      return replace('remove the throw', node, ';');
    case 'AwaitExpression':
      return replace('remove the await', node, `(${sourceText(node.argument)})`);
    case 'ReturnStatement':
      return node.argument === null || isSimple(node.argument)
        ? []
        : replace('return undefined', node.argument, 'undefined');
    case 'ArrowFunctionExpression':
      return node.body.type === 'BlockStatement' || isSimple(node.body)
        ? []
        : replace('return undefined', node.body, 'undefined');
    case 'Literal':
      if (typeof node.value === 'boolean')
        return replace(`${node.value} → ${!node.value}`, node, String(!node.value));
      return typeof node.value === 'number' && node.value <= MAX_NUMBER
        ? replace('another number', node, String(node.value === 1 ? 0 : node.value + 1))
        : [];
    case 'CallExpression':
      return otherMethod(node.callee);
    default:
      return [];
  }
}

function otherMethod(callee: Node): readonly Change[] {
  if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return [];
  const { name, start, end } = callee.property;
  const replacement = METHODS[name];
  if (replacement === undefined) return [];
  return [{ operator: `${name} → ${replacement}`, start, end, replacement, executed: start }];
}

/** Reports whether `+` would join texts. */
function isText(node: Node): boolean {
  if (node.type === 'BinaryExpression') return isText(node.left) || isText(node.right);
  return node.type === 'TemplateLiteral' || (node.type === 'Literal' && typeof node.value === 'string');
}

/** Reports whether other changes cover the value: literals change themselves. */
function isSimple(node: Node): boolean {
  return node.type === 'Literal' || (node.type === 'Identifier' && node.name === 'undefined');
}

function isSuperCall(node: Node): boolean {
  return node.type === 'CallExpression' && node.callee.type === 'Super';
}
