import type { Method, Operation } from '#gateway/http/api/operation';

/** The request of an operation's example. */
export interface ExampleRequest {
  readonly method: Method;
  /** Below the address of the API. */
  readonly address: string;
  readonly body?: object;
  readonly bytes?: string;
}

/** Returns the request of an operation's example, for a repository; its path may have slashes. */
export function exampleRequest(
  { body: schema, example, method, path }: Operation,
  repository = 'team/app',
): ExampleRequest {
  const { body, parameters = {}, query = {} } = example;
  const values: Readonly<Record<string, string>> = {
    ...parameters,
    repository: encodeURIComponent(repository),
  };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
  const text = new URLSearchParams(query).toString();
  return {
    method,
    address: text === '' ? filled : `${filled}?${text}`,
    ...(typeof body === 'object' && { body }),
    ...(schema === 'bytes' && { bytes: typeof body === 'string' ? body : '' }),
  };
}

/** Returns the arguments of an operation's example as a tool. */
export function exampleArguments({ example, path }: Operation): Record<string, unknown> {
  const { body, parameters, query } = example;
  const repository = path.includes('{repository}') ? { repository: 'team/app' } : {};
  return { ...repository, ...parameters, ...query, ...(typeof body === 'object' && body) };
}
