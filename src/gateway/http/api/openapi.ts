import { type TSchema, Type } from 'typebox';
import { API_PATH } from './api-path.ts';
import { segmentsOf } from './find-operation.ts';
import type { AnswerShape, ApiOperation } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';
import { PROBLEM_KINDS, PROBLEM_TYPE } from './problems.ts';
import { closed } from './schemas/parts.ts';

const JSON_TYPE = 'application/json';

let document: object | undefined;

export function openApiDocument(): object {
  document ??= build();
  return document;
}

function build(): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const row of OPERATIONS) {
    paths[row.path] = { ...paths[row.path], [row.method.toLowerCase()]: operationObject(row) };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'gitaly-ts',
      version: '1',
      description: 'Git repositories without a clone. The rights are those for git.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: API_PATH }],
    security: [{}, { basic: [] }, { bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic', description: 'A name, and a password or token.' },
        bearer: { type: 'http', scheme: 'bearer', description: 'A token.' },
      },
      schemas: { Problem: PROBLEM },
      responses: {
        Problem: {
          description: 'The request failed.',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
    },
  };
}

const PROBLEM = Type.Object(
  {
    type: Type.Enum(Object.keys(PROBLEM_KINDS).map((kind) => `${PROBLEM_TYPE}${kind}`)),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String({ description: 'What failed, for people.' }),
  },
  { description: 'RFC 9457. Programs branch on `type`.' },
);

function operationObject({
  answer,
  body,
  description,
  id,
  parameters,
  path,
  query,
  right,
  summary,
}: ApiOperation) {
  const inPath = segmentsOf(path)
    .filter(({ isParameter }) => isParameter)
    .map(({ text: name }) => ({
      ...{ name, in: 'path', required: true },
      ...described(parameters[name] ?? REPOSITORY_PARAMETER),
    }));
  const required: unknown = 'required' in closed(query) ? closed(query).required : [];
  const inQuery = Object.entries(query).map(([name, schema]) => ({
    ...{ name, in: 'query', required: Array.isArray(required) && required.includes(name) },
    ...described(schema),
  }));
  return {
    operationId: id,
    summary,
    ...(description !== undefined && { description }),
    tags: [path.split('/')[3] ?? 'repositories'],
    'x-right': right,
    parameters: [...inPath, ...inQuery],
    ...(body !== undefined && { requestBody: { required: true, content: contentOf(body) } }),
    responses: { ...responsesOf(answer), default: { $ref: '#/components/responses/Problem' } },
  };
}

export const REPOSITORY_PARAMETER = Type.String({
  minLength: 1,
  description: 'Path of the repository, with or without .git; slashes as %2F.',
});

function described(schema: TSchema) {
  const { description, ...rest } = plain(schema);
  return { ...(description !== undefined && { description }), schema: rest };
}

/** Returns a schema as JSON has it. */
function plain(schema: TSchema): { description?: string } & object {
  // A schema is a JSON value with properties of TypeBox that JSON leaves out.
  return JSON.parse(JSON.stringify(schema)) as object;
}

function contentOf(body: TSchema | 'bytes') {
  return body === 'bytes'
    ? { 'application/octet-stream': { schema: {} } }
    : { [JSON_TYPE]: { schema: plain(body) } };
}

function responsesOf(answer: AnswerShape): Record<string, object> {
  switch (answer.kind) {
    case 'json':
      return response(answer.status, { [JSON_TYPE]: { schema: plain(answer.schema) } });
    case 'list':
      return response(200, {
        [JSON_TYPE]: { schema: plain(pageSchemaOf(answer.schema)) },
        'application/x-ndjson': { schema: plain(answer.schema) },
      });
    case 'bytes':
      return response(200, { [answer.type]: { schema: {} } });
    case 'nothing':
      return { 204: { description: 'Done.' } };
  }
}

function response(status: number, content: object): Record<string, object> {
  return { [status]: { description: status === 201 ? 'Created.' : 'Found.', content } };
}

export function pageSchemaOf(item: TSchema): TSchema {
  return Type.Object({
    items: Type.Array(item),
    next: Type.Optional(Type.String({ description: 'Cursor of the next page; missing at the end.' })),
  });
}
