import { registerHooks } from 'node:module';
import type { Client } from '@modelcontextprotocol/sdk/client/index.js';

// A dependency has a condition `source`, too, which leads to TypeScript. Node runs none of it in
// node_modules.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier,
      context.parentURL?.includes('/node_modules/') === true
        ? { ...context, conditions: context.conditions.filter((condition) => condition !== 'source') }
        : context,
    ),
});

/** Connects the official client of the Model Context Protocol. @param headers of its requests. */
export async function connectMcp(url: URL, headers: Readonly<Record<string, string>> = {}): Promise<Client> {
  const { Client: McpClient } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import(
    '@modelcontextprotocol/sdk/client/streamableHttp.js'
  );
  const client = new McpClient({ name: 'test', version: '1' });
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: { headers } }));
  return client;
}
