import type { Storages } from '#storage/storages';

export interface AnalysisDependencies {
  readonly storages: Storages;
}
