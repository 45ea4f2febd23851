import type { TProperties, TSchema } from 'typebox';
import { segmentsOf } from '../find-operation.ts';
import { pageSchemaOf, REPOSITORY_PARAMETER } from '../openapi.ts';
import type { Method } from '../operation.ts';
import { Problem } from '../problems.ts';
import { READY_OPERATIONS, type ReadyOperation } from '../ready-operation.ts';

/** A row of the table as a tool. */
export interface Tool {
  readonly name: string;
  readonly operation: ReadyOperation;
  /** As clients see it. @see Model Context Protocol, `Tool` */
  readonly listed: object;
}

/** The rows that have a name as a tool. */
export const TOOLS: readonly Tool[] = READY_OPERATIONS.flatMap((operation) =>
  operation.tool === undefined
    ? []
    : [{ name: operation.tool, operation, listed: listed(operation.tool, operation) }],
);

/** Values of a call, by where an HTTP request has them. */
export interface ToolArguments {
  readonly repository: string | undefined;
  readonly parameters: readonly (readonly [string, Buffer])[];
  readonly query: readonly (readonly [string, Buffer])[];
  readonly body: Readonly<Record<string, unknown>>;
}

/** Sorts the arguments of a call. @throws {Problem} for an unknown one. */
export function sortArguments(
  { body, parameters, path, query }: ReadyOperation,
  given: Readonly<Record<string, unknown>>,
): ToolArguments {
  const rest = new Map(Object.entries(given));
  const take = (properties: TProperties): (readonly [string, Buffer])[] =>
    Object.keys(properties).flatMap((name) => {
      const value = rest.get(name);
      rest.delete(name);
      return value === undefined ? [] : [[name, bytesOf(name, value)] as const];
    });
  const isOfRepository = segmentsOf(path).some(({ text }) => text === 'repository');
  const [at] = isOfRepository ? take({ repository: REPOSITORY_PARAMETER }) : [];
  if (isOfRepository && at === undefined)
    throw new Problem('invalid-request', 400, 'repository is missing.', { facts: { field: 'repository' } });
  const sorted = { repository: at?.[1].toString(), parameters: take(parameters), query: take(query) };
  const [unknown] = Object.keys(propertiesOf(body)).length === 0 ? rest.keys() : [];
  if (unknown !== undefined) throw new Problem('invalid-request', 400, `${unknown} is not known.`);
  return { ...sorted, body: Object.fromEntries(rest) };
}

/** Returns a value as an address has it. */
function bytesOf(name: string, value: unknown): Buffer {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return Buffer.from(String(value));
  throw new Problem('invalid-request', 400, `${name} must be a text, a number, true or false.`);
}

function listed(name: string, operation: ReadyOperation): object {
  const { answer, body, description, method, parameters, path, query, summary } = operation;
  const hasRepository = segmentsOf(path).some(({ text }) => text === 'repository');
  const properties: TProperties = {
    ...(hasRepository && { repository: REPOSITORY_PARAMETER }),
    ...parameters,
    ...query,
    ...propertiesOf(body),
  };
  const optional = new Set([...optionalOf(query), ...optionalOf(propertiesOf(body))]);
  return {
    name,
    title: summary,
    description: description === undefined ? `${summary}.` : `${summary}. ${description}`,
    inputSchema: {
      type: 'object',
      properties,
      required: Object.keys(properties).filter((property) => !optional.has(property)),
      additionalProperties: false,
    },
    ...(answer.kind === 'json' && { outputSchema: answer.schema }),
    ...(answer.kind === 'list' && { outputSchema: pageSchemaOf(answer.schema) }),
    annotations: annotationsOf(method),
  };
}

function annotationsOf(method: Method): object {
  const isRead = method === 'GET';
  return { readOnlyHint: isRead, destructiveHint: method === 'DELETE', openWorldHint: false };
}

function propertiesOf(body: TSchema | 'bytes' | undefined): TProperties {
  // The body of a row is an object or bytes.
  return body !== undefined && body !== 'bytes' && 'properties' in body
    ? (body.properties as TProperties)
    : {};
}

function optionalOf(properties: TProperties): string[] {
  return Object.keys(properties).filter((name) => '~optional' in (properties[name] ?? {}));
}
