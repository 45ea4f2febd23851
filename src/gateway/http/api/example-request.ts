import type { Method, Operation, OperationExample } from './operation.ts';

/** The request of an operation's example. */
export interface ExampleRequest {
  readonly method: Method;
  /** Below the address of the API. */
  readonly address: string;
  readonly body?: object;
  readonly bytes?: string;
}

const PATH = 'team/app';

/** Returns the request of an operation's example, for the repository `team/app`. */
export function exampleRequest(
  { body: schema, example, method, path }: Pick<Operation, 'body' | 'example' | 'method' | 'path'>,
  { body, parameters = {}, query = {} }: OperationExample = example,
): ExampleRequest {
  const values: Readonly<Record<string, string>> = { ...parameters, repository: encodeURIComponent(PATH) };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');
  const text = new URLSearchParams(query).toString();
  return {
    method,
    address: text === '' ? filled : `${filled}?${text}`,
    ...(typeof body === 'object' && { body }),
    ...(schema === 'bytes' && { bytes: typeof body === 'string' ? body : '' }),
  };
}

/** Returns the words of a command that sends a request. @param address before that of the request. */
export function curlWords({ address, body, bytes, method }: ExampleRequest, api: string): string[] {
  const words = ['curl --silent --fail-with-body'];
  // A request with data is a POST.
  if (method !== 'GET' && !(method === 'POST' && body !== undefined)) words.push(`--request ${method}`);
  if (body !== undefined) words.push(`--json '${JSON.stringify(body)}'`);
  if (bytes !== undefined)
    words.push(`--header 'Content-Type: application/octet-stream'`, `--data-binary @FILE`);
  return [...words, `"${api}${address}"`];
}
