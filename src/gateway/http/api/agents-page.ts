import type { TProperties, TSchema } from 'typebox';
import { API_PATH, LLMS_PATH, MCP_PATH } from './api-path.ts';
import type { ApiOperation, Method, OperationExample } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';

/** A step of the walk, which is a request of an operation. */
interface Step {
  readonly text: string;
  readonly id: string;
  readonly example: OperationExample;
}

const SERVER = '$SERVER';

/** The steps from nothing to a merge. */
const WALK: readonly Step[] = [
  { text: 'Create a repository', id: 'createRepository', example: { body: { path: 'team/app' } } },
  {
    text: 'Make its first commit',
    id: 'createCommit',
    example: {
      body: { branch: 'main', message: 'Begin', files: { 'README.md': '# App\n', 'a.txt': 'one\n' } },
    },
  },
  { text: 'List the files', id: 'listTree', example: { query: { recursive: 'true' } } },
  { text: 'Read a file', id: 'readFile', example: { parameters: { path: 'README.md' } } },
  {
    text: 'Commit to a new branch',
    id: 'createCommit',
    example: {
      body: { branch: 'topic', startBranch: 'main', message: 'Count', files: { 'a.txt': 'one\ntwo\n' } },
    },
  },
  { text: 'See what it changes', id: 'compareRevisions', example: { query: { from: 'main', to: 'topic' } } },
  { text: 'Check the merge', id: 'checkMerge', example: { query: { source: 'topic', branch: 'main' } } },
  {
    text: 'Merge it',
    id: 'merge',
    example: { body: { source: 'topic', branch: 'main', message: 'Merge topic' } },
  },
];

/** The request of an operation's example. */
interface ExampleRequest {
  readonly method: Method;
  /** Below the address of the API. */
  readonly address: string;
  readonly body?: object;
  readonly bytes?: string;
}

const PATH = 'team/app';

/** Returns the page for agents, which the server has at /llms.txt. @see https://llmstxt.org */
export function agentsPage(): string {
  return `# gitaly-ts

> A server of Git repositories. Its API reads files, searches, commits, branches and merges without a
> clone: one request each.

- ${SERVER} stands for the address of this server, such as https://git.example.com. The API is at
  \`${SERVER}${API_PATH}\`.
- Credentials: \`Authorization: Bearer TOKEN\`, or a name and password (\`curl --user NAME:PASSWORD\`).
  Ask the person you work for. A server on your own machine may need none.
- A repository has a path such as \`team/app\`. In an address its slashes are \`%2F\`: \`team%2Fapp\`.
  The path of a file may have slashes as they are.
- Bodies are JSON with \`Content-Type: application/json\` (\`curl --json\`).
- An error is \`{"type","title","status","detail"}\`. Branch on \`type\`. 409 with \`current\`: the branch
  has moved, so read it again. 401: credentials; 403: a right, hook or rule; 404: missing, or hidden.
- A list is \`{"items","next"}\`; send \`next\` as \`cursor\` for the next page, and \`limit\` for its size.
- Give the commit that you have seen as \`expected\` with a change, so that no work of others is lost.

## From nothing to a merge

\`\`\`sh
${walkCommands()}
\`\`\`

## Operations

The fields after \`?\` are of the query, those after \`body\` are JSON; fields in brackets are optional.

${OPERATIONS.map(line).join('\n')}

## More

- [OpenAPI 3.1](${API_PATH}/openapi.json): all fields with their types and meanings
- [MCP](${MCP_PATH}): ${toolNames()} as tools of the Model Context Protocol (streamable HTTP)
- Git itself: \`git clone ${SERVER}/team/app.git\`
- [This page](${LLMS_PATH})
`;
}

/**
 * Returns the commands of the walk from nothing to a merge; `$SERVER` is the server's address.
 *
 * @param options further options of each command.
 */
export function walkCommands(options: readonly string[] = []): string {
  return WALK.map(({ example, id, text }) => {
    const row = OPERATIONS.find((each) => each.id === id);
    if (row === undefined) throw new Error(`there is no operation ${id}`);
    const words = curlWords(exampleRequest(row, example), `${SERVER}${API_PATH}`);
    return `# ${text}\n${[words[0], ...options, ...words.slice(1)].join(' \\\n  ')}`;
  }).join('\n');
}

function line({ body, description, method, path, query, summary }: ApiOperation): string {
  const asked = namesOf(query);
  return [
    `- \`${method} ${path}${asked === '' ? '' : ` ? ${asked}`}\``,
    ...(body === undefined
      ? []
      : [body === 'bytes' ? ', the bytes as its body' : ` body \`${fieldsOf(body)}\``]),
    `: ${summary}`,
    ...(description === undefined ? [] : [`. ${description.replace(/\.$/, '')}`]),
  ].join('');
}

function fieldsOf(body: TSchema): string {
  return 'properties' in body ? namesOf(body.properties as TProperties) : ''; // those of an object
}

function namesOf(properties: TProperties): string {
  return Object.entries(properties)
    .map(([name, schema]) => ('~optional' in schema ? `[${name}]` : name))
    .join(' ');
}

function toolNames(): string {
  return OPERATIONS.flatMap(({ tool }) => tool ?? []).join(', ');
}

/** Returns the request of an operation's example, for the repository `team/app`. */
export function exampleRequest(
  { body: schema, example, method, path }: Pick<ApiOperation, 'body' | 'example' | 'method' | 'path'>,
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
