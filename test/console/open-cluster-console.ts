import assert from 'node:assert/strict';
import { praefectConsole } from '#cli/serve/serve-praefect-console';
import { loggerFor } from '#platform/log/logger';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import type { TestCluster } from '#testkit/start-cluster';

export interface ClusterConsole extends AsyncDisposable {
  /** Address of the console. */
  readonly url: string;
  get(path: string, headers?: Record<string, string>): Promise<{ status: number; text: string }>;
  // biome-ignore lint/suspicious/noExplicitAny: the tests read fields of many pages
  json(path: string, headers?: Record<string, string>): Promise<any>;
}

/** Opens the console of a praefect as its configuration asks for it. */
export async function openClusterConsole(
  { address, server }: Pick<TestCluster, 'address' | 'server'>,
  settings: Record<string, unknown> = {},
): Promise<ClusterConsole> {
  const { config } = praefectConfigFrom({
    socket_path: address,
    console: { listen_addr: '127.0.0.1:0', ...settings },
    virtual_storage: [{ name: 'default', node: [{ storage: 'gitaly-1', address: 'unix:/x' }] }],
  });
  let url = '';
  const note = (fields: object): void => {
    if ('address' in fields) url = String(fields.address);
  };
  const logger = loggerFor({ info: note, warn: note, error: note });
  const opened = await praefectConsole(config, { logger, hasPredecessor: false })?.(server);
  assert.ok(opened);
  const get: ClusterConsole['get'] = async (path, headers = {}) => {
    const response = await fetch(`${url}${path}`, { headers });
    return { status: response.status, text: await response.text() };
  };
  return {
    url,
    get,
    json: async (path, headers) =>
      JSON.parse((await get(path, { accept: 'application/json', ...headers })).text),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}
