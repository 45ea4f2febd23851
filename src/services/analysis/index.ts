import { serveWith } from '#rpc/server/handler';
import { AnalysisService } from '#wire/gen/analysis_pb';
import { checkBlobsGenerated } from './check-blobs-generated.ts';
import type { AnalysisDependencies } from './dependencies.ts';

/** Judgements about files. */
export function analysisService(deps: AnalysisDependencies) {
  return serveWith(AnalysisService, deps, {
    checkBlobsGenerated,
  });
}
