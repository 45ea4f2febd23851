/**
 * Writes the reference page of the messages: the services with their RPCs, and the messages and
 * enums of each file in proto/, with the first sentence of their comments.
 *
 * node scripts/generate-messages-reference.ts writes the file
 * node scripts/generate-messages-reference.ts --check compares only; exit 1 when it would change
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const PAGE = join(ROOT, 'docs/messages-reference.md');
const HEAD = `# Messages

This page is generated from [proto/](../proto) by \`npm run gen\`. TypeScript has the same names, from
\`gitaly-ts/messages\`: the type \`FindCommitRequest\`, its schema \`FindCommitRequestSchema\`, and
\`UserMergeBranchRequest_Header\` for a message inside another. Fields are in camel case, 64-bit
numbers are \`bigint\`, and bytes \`Uint8Array\`. RPCs are functions of a connection:
\`connection.commit.findCommit(request)\`. The same module has \`create\`, \`isMessage\`, \`toBinary\`
and \`fromBinary\` for messages, and \`timestampDate\`, \`timestampFromDate\` and \`durationMs\` for times.
`;

interface Declared {
  readonly kind: string;
  readonly name: string;
  readonly doc: string;
}

/** Returns the declarations at the margin, and the RPCs, with the comments before them. */
function declarations(text: string): Declared[] {
  const found: Declared[] = [];
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const [, words] = /^ *\/\/ ?(.*)$/.exec(line) ?? [];
    if (words !== undefined) {
      comment.push(words);
      continue;
    }
    const [, kind = '', name = ''] =
      /^(service|message|enum) (\w+) \{/.exec(line) ?? /^ {2}(rpc) (\w+)\(/.exec(line) ?? [];
    if (kind !== '') found.push({ kind, name, doc: firstSentence(comment.join(' ')) });
    comment = [];
  }
  return found;
}

/** Returns a comment up to the end of its first sentence, for a cell of a table. */
function firstSentence(text: string): string {
  const [sentence = ''] = /^.*?[.:](?= [A-Z]|$)/.exec(text) ?? [text];
  return sentence.replaceAll('|', '\\|');
}

/** Breaks a paragraph into lines of at most 100 characters. */
function wrapped(text: string): string[] {
  return text
    .replaceAll(/(.{1,100})(?: |$)/g, '$1\n')
    .trimEnd()
    .split('\n');
}

function section(file: string): string[] {
  const found = declarations(readFileSync(join(ROOT, 'proto', file), 'utf8'));
  if (found.length === 0) return [];
  const row = ({ name, doc }: Declared): string => `| \`${name}\` | ${doc} |`;
  const table = (title: string, rows: readonly Declared[]): string[] =>
    rows.length === 0 ? [] : ['', `| ${title} | |`, '| --- | --- |', ...rows.map(row)];
  const service = found.find(({ kind }) => kind === 'service');
  return [
    '',
    `## ${service?.name ?? file}`,
    ...(service === undefined ? [] : ['', ...wrapped(service.doc)]),
    ...table(
      'RPC',
      found.filter(({ kind }) => kind === 'rpc'),
    ),
    ...table(
      `message, in [${file}](../proto/${file})`,
      found.filter(({ kind }) => kind === 'message' || kind === 'enum'),
    ),
  ];
}

const files = globSync('*.proto', { cwd: join(ROOT, 'proto') }).toSorted();
const text = `${[HEAD.trimEnd(), ...files.flatMap(section)].join('\n')}\n`;
if (process.argv[2] !== '--check') writeFileSync(PAGE, text);
else if (readFileSync(PAGE, 'utf8') !== text) {
  console.error('docs/messages-reference.md is not up to date: run "npm run gen" and commit the result.');
  process.exitCode = 1;
}
