/**
 * Writes docs/api-reference.md, the operations of the API, from their table.
 *
 * node --conditions=source scripts/generate-api-reference.ts [--check]
 */
import type { TProperties, TSchema } from 'typebox';
import { curlWords, exampleRequest } from '#gateway/http/api/agents-page';
import type { AnswerShape, ApiOperation } from '#gateway/http/api/operation';
import { OPERATIONS } from '#gateway/http/api/operations/table';
import { PROBLEM_KINDS, PROBLEM_TYPE } from '#gateway/http/api/problems';
import { generateFile } from './generated-file.ts';
import { markdownTable } from './markdown-table.ts';

const HEAD = `# Reference of the API

<!-- Generated from src/gateway/http/api/operations/table.ts by \`npm run gen\`. -->

The addresses are below \`/-/api/v1\`. In the examples \`$API\` is this address of your server, and the
repository is \`team/app\`; add \`--user NAME:PASSWORD\` or \`--oauth2-bearer TOKEN\`. A list has
\`items\`, and \`next\` if there are more: the value of \`cursor\` for the next page. With
\`Accept: application/x-ndjson\` it comes as one item a line. [How to use it](api.md).
`;

const MAX_COLUMNS = 100;
const GROUPS: Readonly<Record<string, string>> = {
  none: 'any user',
  read: '`read`',
  write: '`write`',
  create: 'to create repositories',
  admin: 'an administrator of the repository',
};

function section(row: ApiOperation): string {
  const { description, id, method, path, right, summary } = row;
  const parts = [
    `## ${id}`,
    wrapped(`${summary}: \`${method} ${path}\`. Needs: ${GROUPS[right]}.`),
    ...(description === undefined ? [] : [wrapped(description)]),
    table(fieldsOf(row)),
    wrapped(answerText(row.answer)),
    `\`\`\`sh\n${curl(row)}\n\`\`\``,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

interface Field {
  readonly name: string;
  readonly where: string;
  readonly isRequired: boolean;
  readonly schema: TSchema;
}

function fieldsOf({ body, parameters, query }: ApiOperation): Field[] {
  const properties = body !== undefined && body !== 'bytes' && 'properties' in body ? body.properties : {};
  return [
    ...fields(parameters, 'path'),
    ...fields(query, 'query'),
    ...fields(properties as TProperties, 'body'), // those of an object
  ];
}

function fields(properties: TProperties, where: string): Field[] {
  return Object.entries(properties).map(([name, schema]) => ({
    ...{ name, where, schema },
    isRequired: !('~optional' in schema),
  }));
}

function table(rows: readonly Field[]): string {
  if (rows.length === 0) return '';
  const cells = rows.map(({ isRequired, name, schema, where }) => [
    `\`${name}\``,
    isRequired ? where : `${where}, optional`,
    ('description' in schema ? String(schema.description) : '').replaceAll('|', '\\|'),
  ]);
  return markdownTable(['name', 'in', 'meaning'], cells);
}

function answerText(answer: AnswerShape): string {
  if (answer.kind === 'nothing') return 'Answer: 204.';
  if (answer.kind === 'bytes') return `Answer: 200, \`${answer.type}\`.`;
  const { schema } = answer;
  const names = 'properties' in schema ? Object.keys(schema.properties ?? {}) : [];
  const list = names.map((name) => `\`${name}\``).join(', ');
  return answer.kind === 'list' ? `Answer: 200, items with ${list}.` : `Answer: ${answer.status}, ${list}.`;
}

/** Breaks a paragraph into lines. */
function wrapped(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + word.length >= MAX_COLUMNS) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.join('\n');
}

/** Returns the command of an example. */
function curl(row: ApiOperation): string {
  const words = curlWords(exampleRequest(row), '$API');
  if (row.answer.kind === 'bytes') words.splice(-1, 0, '--output FILE');
  return words.join(' \\\n  ');
}

const problems = Object.entries(PROBLEM_KINDS).map(
  ([kind, title]) => `- \`${PROBLEM_TYPE}${kind}\`: ${title}`,
);
const PROBLEMS = `## Problems

An error is a document of the type \`application/problem+json\` (RFC 9457) with \`type\`, \`title\`,
\`status\` and \`detail\`; programs branch on \`type\`.

${problems.join('\n')}
`;

generateFile(
  'docs/api-reference.md',
  `${[HEAD.trimEnd(), ...OPERATIONS.map(section), PROBLEMS].join('\n\n')}`,
);
