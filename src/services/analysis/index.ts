import type { ServiceImplementation } from '#rpc/server/handler';
import type { AnalysisService } from '#wire/gen/analysis_pb';
import { checkBlobsGenerated } from './check-blobs-generated.ts';
import type { AnalysisDependencies } from './dependencies.ts';

/** Judgements about files. */
export function analysisService(deps: AnalysisDependencies): ServiceImplementation<typeof AnalysisService> {
  return {
    checkBlobsGenerated: (requests, context) => checkBlobsGenerated(requests, context, deps),
  };
}
