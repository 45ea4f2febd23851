import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { parseTracing } from '#platform/tracing/connection-string';
import type { Tracing } from './tracing.ts';

/**
 * Starts tracing as configured by `GITLAB_TRACING`. Without it, and if it is not usable, there is
 * none: this is logged and never prevents the start. The SDK is loaded only here.
 */
export async function startTracing(
  connectionString: string | undefined,
  logger: Logger,
): Promise<Tracing | undefined> {
  if (!connectionString) return undefined;
  try {
    const settings = parseTracing(connectionString);
    const { openTelemetry } = await import('./open-telemetry.ts');
    return await openTelemetry(settings, logger);
  } catch (error) {
    logger.error({ error: describe(error) }, 'error initializing distributed tracing');
    return undefined;
  }
}

function describe(error: unknown): string {
  const text = messageOf(error);
  if (!/Cannot find package '@opentelemetry/.test(text)) return text;
  return 'the packages of OpenTelemetry are not installed: npm install --include=optional';
}
