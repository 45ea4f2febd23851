import { bindHandlers } from '#services/convert/bind-handlers';
import type { AnalysisService } from '#wire/gen/analysis_pb';
import { checkBlobsGenerated } from './check-blobs-generated.ts';
import type { AnalysisDependencies } from './dependencies.ts';

/** Judgements about files. */
export function analysisService(deps: AnalysisDependencies) {
  return bindHandlers<typeof AnalysisService, AnalysisDependencies>(deps, {
    checkBlobsGenerated,
  });
}
