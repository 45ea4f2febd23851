import type { HandlersOf } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { AnalysisService } from '#wire/gen/analysis_pb';

export interface AnalysisDependencies {
  readonly storages: Storages;
}

export type Handlers = HandlersOf<typeof AnalysisService, AnalysisDependencies>;
