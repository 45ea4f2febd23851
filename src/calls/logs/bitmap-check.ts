import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { BitmapCounts } from '#storage/statistics/bitmap-count';
import type { ServerMetrics } from '../metrics.ts';

/** Checks the bitmaps of a repository from which a client fetches. Never rejects. */
export type BitmapCheck = (repository: Repository, context: HandlerContext) => Promise<void>;

/**
 * Returns the check that counts fetches from repositories without exactly one bitmap, which take
 * longer. A young repository has none, so that is not logged. The texts are those of Gitaly.
 */
export function bitmapCheck({
  logger,
  metrics,
}: {
  readonly logger: Logger;
  readonly metrics: Pick<ServerMetrics, 'countBadBitmaps'>;
}): BitmapCheck {
  const counts = new BitmapCounts();
  return async ({ path }, { correlationId, method }) => {
    const fields = { correlation_id: correlationId, 'grpc.request.fullMethod': method.path };
    try {
      const { bitmaps, packs } = await counts.count(path);
      if (packs === 0 || bitmaps === 1) return;
      if (bitmaps > 1)
        logger.warn({ ...fields, bitmaps }, 'found more than one packfile bitmap in repository');
      metrics.countBadBitmaps(method.path, bitmaps);
    } catch (error) {
      logger.info({ ...fields, error: messageOf(error) }, 'bitmap check failed');
    }
  };
}
