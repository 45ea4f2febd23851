import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { AnalysisService } from '#wire/gen/analysis_pb';
import { checkBlobsGenerated } from './check-blobs-generated.ts';

export interface AnalysisRooms {
  readonly storages: Storages;
}

/** Judgements about files. */
export function analysisService(rooms: AnalysisRooms): ServiceImplementation<typeof AnalysisService> {
  return {
    checkBlobsGenerated: (requests, context) => checkBlobsGenerated(requests, context, rooms),
  };
}
