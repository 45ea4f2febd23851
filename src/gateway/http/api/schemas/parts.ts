import { type TSchema, type TString, Type } from 'typebox';
import { BRANCH_FORMAT, PATH_FORMAT } from './formats.ts';

/** A text of the path or query of an address that may have any bytes: those of a path in git. */
export type BytesSchema = TString & { readonly 'x-bytes': true };

const MAX_PATH_BYTES = 4096;
const MAX_NAME_LENGTH = 1024;
/**
 * A text that git can have as a revision: without control characters, and without `@{upstream}` and
 * `@{push}`, at which git ends where no remote is configured.
 */
const REVISION = '^(?!.*@\\{[uUpP])[^-\\x00-\\x1f\\x7f][^\\x00-\\x1f\\x7f]*$';

/** Returns the schema of a path in a tree, for the path or query of an address. */
export function pathBytes(description: string): BytesSchema {
  const schema = Type.String({
    minLength: 1,
    maxLength: MAX_PATH_BYTES,
    format: PATH_FORMAT,
    description,
  });
  return Object.assign(schema, { 'x-bytes': true } as const);
}

/** Returns the schema of a path in a tree, for the body of a request. */
export function pathText(description: string) {
  return Type.String({ minLength: 1, maxLength: MAX_PATH_BYTES, format: PATH_FORMAT, description });
}

export function revision(description: string) {
  return Type.String({ minLength: 1, maxLength: MAX_NAME_LENGTH, pattern: REVISION, description });
}

export function branch(description: string) {
  return Type.String({
    minLength: 1,
    maxLength: MAX_NAME_LENGTH,
    format: BRANCH_FORMAT,
    description: `${description}, without refs/heads/.`,
  });
}

export function objectId(description: string) {
  return Type.String({ pattern: '^(?:[0-9a-f]{40}|[0-9a-f]{64})$', description });
}

/** Returns the schema of a message or of another text of people. */
export function text(description: string, maxLength = 65_536) {
  return Type.String({ minLength: 1, maxLength, pattern: '^[^\\x00]*$', description });
}

export function oneOf<const V extends readonly string[]>(values: V, description: string) {
  return Type.Unsafe<V[number]>({ type: 'string', enum: [...values], description });
}

/** Returns the schema of an object without other fields. */
export function closed<P extends Parameters<typeof Type.Object>[0]>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

export function isBytes(schema: TSchema | undefined): schema is BytesSchema {
  return schema !== undefined && 'x-bytes' in schema;
}

export const LIST_QUERY = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 1000, description: 'Items of a page. Default 100; of lines, all.' }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 8192,
      pattern: '^[\\w-]+$',
      description: '`next` of the page before.',
    }),
  ),
};
