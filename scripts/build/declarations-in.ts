import { type Node, parseSync } from 'oxc-parser';
import { childrenOf } from '../syntax-tree.ts';

/** A name of another module, and the module as the import writes it. */
export interface Origin {
  readonly source: string;
  readonly name: string;
}

/** A part of the text that names something of the top of the module, or is `import('x').Name`. */
interface Reference {
  readonly start: number;
  readonly end: number;
  readonly to: string | Origin;
}

/** A statement that declares a name. */
export interface Declaration {
  readonly name: string;
  /** False for what has a value, too. */
  readonly isType: boolean;
  readonly isExported: boolean;
  /** Comment before the statement, with a line feed; empty without one. */
  readonly comment: string;
  /** Of the statement without `export`. */
  readonly start: number;
  readonly end: number;
}

export interface Export {
  readonly to: string | Origin;
  readonly isType: boolean;
}

/** A file of declarations, as far as joining needs it. */
export interface Declarations {
  readonly text: string;
  /** Comment at the start of the file, with a line feed, if it does not belong to a declaration. */
  readonly header: string;
  readonly declarations: readonly Declaration[];
  readonly imports: ReadonlyMap<string, Origin>;
  /** Names in `export { … }`. */
  readonly exports: ReadonlyMap<string, Export>;
  /** Modules of which everything is exported. */
  readonly stars: readonly string[];
  /** In the order of the text. */
  readonly references: readonly Reference[];
  /** Names of all type parameters. */
  readonly parameters: ReadonlySet<string>;
}

type Statement = Extract<Node, { type: 'Program' }>['body'][number];
type Kind<Type extends Node['type']> = Extract<Node, { type: Type }>;

/** @throws {Error} at a statement that compiled declarations do not have, such as `import * as x` */
export function declarationsIn(text: string, path: string): Declarations {
  const { program, comments, errors } = parseSync(path, text);
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`);
  const commentBefore = (at: number): string => {
    const last = comments.findLast(({ end }) => end <= at && text.slice(end, at).trim() === '');
    return last?.value.startsWith('*') ? `${text.slice(last.start, last.end)}\n` : '';
  };
  const declarations: Declaration[] = [];
  const imports = new Map<string, Origin>();
  const exports = new Map<string, Export>();
  const stars: string[] = [];
  const references: Reference[] = [];
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') addImports(statement, imports);
    else if (statement.type === 'ExportAllDeclaration') stars.push(statement.source.value);
    else if (statement.type === 'ExportNamedDeclaration' && statement.declaration === null)
      addExports(statement, exports);
    else {
      const { id, isType, start } = declared(statement, path);
      const isExported = start !== statement.start;
      const comment = commentBefore(statement.start);
      declarations.push({ name: id.name, isType, isExported, comment, start, end: statement.end });
      references.push({ start: id.start, end: id.start + id.name.length, to: id.name });
    }
  }
  const parameters = new Set<string>();
  addReferences(program, { references, parameters }, new Set());
  references.sort((one, other) => one.start - other.start);
  const [first] = program.body;
  const header =
    first?.type === 'ImportDeclaration' || first?.type === 'ExportAllDeclaration' || exports.size > 0;
  return {
    ...{ text, header: header && first !== undefined ? commentBefore(first.start) : '' },
    ...{ declarations, imports, exports, stars, references, parameters },
  };
}

function addImports(statement: Kind<'ImportDeclaration'>, imports: Map<string, Origin>): void {
  for (const specifier of statement.specifiers) {
    if (specifier.type !== 'ImportSpecifier') throw new Error(`unsupported import: ${specifier.local.name}`);
    imports.set(specifier.local.name, {
      source: statement.source.value,
      name: nameOf(specifier.imported),
    });
  }
}

function addExports(statement: Kind<'ExportNamedDeclaration'>, exports: Map<string, Export>): void {
  for (const { local, exported, exportKind } of statement.specifiers) {
    const name = nameOf(local);
    const to = statement.source === null ? name : { source: statement.source.value, name };
    exports.set(nameOf(exported), { to, isType: exportKind === 'type' || statement.exportKind === 'type' });
  }
}

function nameOf(node: { readonly type: string; readonly name?: string; readonly value?: unknown }): string {
  if (node.name === undefined) throw new Error(`unsupported name: ${String(node.value)}`);
  return node.name;
}

/** Returns what a statement declares; its start is behind `export`. */
function declared(statement: Statement, path: string) {
  const inner =
    statement.type === 'ExportNamedDeclaration' && statement.declaration !== null
      ? statement.declaration
      : statement;
  const isType = inner.type === 'TSInterfaceDeclaration' || inner.type === 'TSTypeAliasDeclaration';
  const { start } = inner;
  if (inner.type === 'VariableDeclaration') {
    const [variable, other] = inner.declarations;
    if (variable?.id.type === 'Identifier' && other === undefined) return { id: variable.id, isType, start };
  } else if ('id' in inner && inner.id?.type === 'Identifier') return { id: inner.id, isType, start };
  throw new Error(`${path}: unsupported statement: ${statement.type}`);
}

/** @param hidden names of type parameters around the node */
function addReferences(
  node: Node,
  { references, parameters }: { references: Reference[]; parameters: Set<string> },
  hidden: ReadonlySet<string>,
): void {
  const own = parametersOf(node);
  for (const name of own) parameters.add(name);
  const within = own.length > 0 ? new Set([...hidden, ...own]) : hidden;
  const named = namedBy(node);
  const first = named && leftmost(named);
  if (first?.type === 'Identifier' && !within.has(first.name))
    references.push({ start: first.start, end: first.end, to: first.name });
  if (node.type === 'TSImportType') references.push(importedType(node));
  for (const [child] of childrenOf(node)) addReferences(child, { references, parameters }, within);
}

function parametersOf(node: Node): string[] {
  if (node.type === 'TSMappedType') return [node.key.name];
  if (node.type === 'TSConditionalType') return inferredIn(node.extendsType);
  const params = 'typeParameters' in node ? (node.typeParameters?.params ?? []) : [];
  return params.map(({ name }) => name.name);
}

/** Returns the names after `infer` in a type. */
function inferredIn(node: Node): string[] {
  if (node.type === 'TSInferType') return [node.typeParameter.name.name];
  return [...childrenOf(node)].flatMap(([child]) => inferredIn(child));
}

function importedType({ source, qualifier, start }: Kind<'TSImportType'>): Reference {
  if (qualifier?.type !== 'Identifier') throw new Error(`unsupported import of ${source.value}`);
  return { start, end: qualifier.end, to: { source: source.value, name: qualifier.name } };
}

/** Returns the node that names a type or a value in another one. */
function namedBy(node: Node): Node | undefined {
  if (node.type === 'TSTypeReference') return node.typeName;
  if (node.type === 'TSTypeQuery') return node.exprName;
  if (node.type === 'TSClassImplements' || node.type === 'TSInterfaceHeritage') return node.expression;
  if (node.type === 'ClassDeclaration') return node.superClass ?? undefined;
  if ('computed' in node && node.computed && 'key' in node) return node.key;
  return undefined;
}

function leftmost(node: Node): Node | undefined {
  if (node.type === 'TSQualifiedName') return leftmost(node.left);
  if (node.type === 'MemberExpression') return leftmost(node.object);
  return node;
}
