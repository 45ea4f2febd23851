import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '#base/gitaly-error';
import { splitHostPort } from '#base/go/net/host-port';
import { systemErrorCode } from '#base/go/system-error';
import type { Secret } from '#base/secret';
import {
  fileAuthentication,
  type HttpGateway,
  type HttpGatewayOptions,
  PAGES_PATH,
  startHttpGateway,
} from '#gateway/index';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { ConsolePages, type ConsolePagesOptions } from './console-pages.ts';

/** `[console]` of a configuration with a console. */
export interface ConsoleSettings extends Omit<GitalyConfig['console'], 'storage'> {
  readonly listenAddr: string;
  readonly storage: string;
}

export interface OpenConsoleOptions {
  /** Address of the server that the pages read. */
  readonly address: string;
  /** The part of the console's options that a server in this process supplies. */
  readonly source: Omit<ConsolePagesOptions, 'target' | 'httpAddress' | 'sshAddress'>;
  readonly settings: ConsoleSettings;
  readonly token: Secret | undefined;
  readonly logger: Logger;
  /** True during a restart: the address may be in use until the predecessor drains. */
  readonly hasPredecessor: boolean;
}

/** Interval between attempts to listen at the address of the predecessor. */
const RETRY_MS = 250;

/**
 * Opens the console of a server, at an address of its own. It serves no git.
 *
 * @throws {Error} with the key of the configuration that cannot be used.
 */
export async function openConsole(options: OpenConsoleOptions): Promise<AsyncDisposable> {
  const { address, hasPredecessor, logger, settings, source, token } = options;
  const pages = new ConsolePages({
    target: {
      address,
      storage: settings.storage,
      ...(token !== undefined && { token: token.reveal() }),
    },
    httpAddress: settings.cloneUrl?.replace(/\/$/, '') ?? false,
    ...source,
  });
  const ending = new AbortController();
  const gateway = openGateway(await gatewayOptions(options, pages), {
    signal: ending.signal,
    waitsForAddress: hasPredecessor,
  });
  const opened = gateway.then((open) => {
    if (open !== undefined) logger.info({ address: `${open.url}${PAGES_PATH}` }, 'listening for the console');
    return open;
  });
  if (hasPredecessor)
    opened.catch((error: unknown) => logger.error({ error: messageOf(error) }, 'the console is missing'));
  else await opened;
  return {
    [Symbol.asyncDispose]: async () => {
      ending.abort();
      await (await opened.catch(() => undefined))?.close();
      await pages[Symbol.asyncDispose]();
    },
  };
}

async function gatewayOptions(
  { address, logger, settings }: OpenConsoleOptions,
  pages: ConsolePages,
): Promise<HttpGatewayOptions> {
  const { authFile, certificatePath, hosts, keyPath, listenAddr } = settings;
  const onProblem = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'the previous file of the console stays in use');
  try {
    return {
      gitaly: { address },
      listen: splitHostPort(listenAddr),
      mapping: { repositoryAt: () => undefined },
      hosts,
      pages,
      ...(authFile !== undefined && {
        authenticator: await fileAuthentication({ path: authFile, onProblem }),
      }),
      ...(certificatePath !== undefined && keyPath !== undefined && { tls: { certificatePath, keyPath } }),
      onProblem,
      onFailure: (error) => logger.error({ error: messageOf(error) }, 'a page of the console failed'),
    };
  } catch (error) {
    throw new Error(`console.auth_file: ${messageOf(error)}`, { cause: error });
  }
}

/** Returns `undefined` if it was aborted. @throws {Error} with the table of the configuration. */
async function openGateway(
  options: HttpGatewayOptions,
  { signal, waitsForAddress }: { readonly signal: AbortSignal; readonly waitsForAddress: boolean },
): Promise<HttpGateway | undefined> {
  while (!signal.aborted) {
    try {
      return await startHttpGateway(options);
    } catch (error) {
      if (systemErrorCode(error) !== 'EADDRINUSE' || !waitsForAddress)
        throw new Error(`[console]: ${messageOf(error)}`, { cause: error });
      await delay(RETRY_MS, undefined, { signal }).catch(() => undefined); // ended while it waits
    }
  }
  return undefined;
}
