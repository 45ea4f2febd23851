/**
 * Writes docs/agents.md from the table of the API's operations.
 *
 * node --conditions=source scripts/generate-agents-page.ts [--check]
 */
import { walkCommands } from '#gateway/http/api/agents-page';
import { TOOLS } from '#gateway/http/api/mcp/tools';
import { generateFile } from './generated-file.ts';
import { markdownTable } from './markdown-table.ts';

const SERVER = 'http://127.0.0.1:8080';
const CALL = {
  ...{ jsonrpc: '2.0', id: 1, method: 'tools/call' },
  params: { name: 'read_file', arguments: { repository: 'team/app', path: 'a.txt' } },
};
const CONFIGURATION = {
  mcpServers: {
    git: { type: 'http', url: `${SERVER}/-/mcp`, headers: { Authorization: 'Bearer TOKEN' } },
  },
};

generateFile(
  'docs/agents.md',
  `# For agents

<!-- Generated from src/gateway/http/api/operations/table.ts by \`npm run gen\`. -->

An agent works on repositories without a clone: it reads, searches, commits, branches and merges,
one request each. It needs the address of the server and a token. The server explains the rest, at
\`/llms.txt\`. A [test](../test/docs/agents.test.ts) runs the commands of this page.

## A token for an agent

Give an agent a token of its own, with an end and only the repositories that it needs. \`admin\` lets
it create repositories below \`team/\`; for work on existing ones \`write\` is enough. Rules keep it
from \`main\`, if you like ([tokens](tokens.md)):

\`\`\`sh
gitaly-ts token create agent --to git --repository 'team/**' --access admin --expires 12h > agent.token
gitaly-ts up git --http 127.0.0.1:8080 --tokens --api-rate 600 > up.log &
curl --silent --output answer --retry 30 --retry-delay 1 --retry-connrefused ${SERVER}/llms.txt
\`\`\`

\`--api-rate 600\` answers more than 600 requests in a minute with 429. Who did what is in the
[access log](team-server.md) and in the [events](events.md): each commit has the name of the token.

## From nothing to a merge

These are the commands of \`/llms.txt\`, with a token:

\`\`\`sh
SERVER=${SERVER}
TOKEN=$(cat agent.token)
${walkCommands(['--oauth2-bearer "$TOKEN"'])}
\`\`\`

All operations: [reference](api-reference.md). Conflicts, rights and limits: [API](api.md).

## Tools

The same operations are tools of the Model Context Protocol at \`/-/mcp\`, over streamable HTTP
without sessions. Programs that run agents are configured as this, or in a similar way:

\`\`\`json
${JSON.stringify(CONFIGURATION, null, 2)}
\`\`\`

${markdownTable(
  ['tool', 'meaning'],
  TOOLS.map(({ name, operation: { summary } }) => [`\`${name}\``, summary]),
)}

A tool returns the answer of the API. A refusal is a result with \`isError\` and the document of the
problem, which the agent can act upon. A file of more than 256 KiB is cut, a binary one is only
named, each with its address. Try it:

\`\`\`sh
curl --silent --oauth2-bearer "$(cat agent.token)" ${SERVER}/-/mcp \\
  --json '${JSON.stringify(CALL).replace('"params"', '\n    "params"')}'
\`\`\`
`,
);
